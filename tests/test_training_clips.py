"""What the networks learn from: as many clips of each kind as asked for, and pools of their frames."""

import resource
from collections import Counter

import numpy as np
import psutil
import pytest

from training.clips import FRAMES_OF_EACH, KEPT, SHARES, DrawnClips, frame_pool
from training.world.clip import KINDS, labels, random_clip

SIZE = 64


def test_training_clips_are_of_every_kind_as_often_as_asked_for() -> None:
    clips = DrawnClips(600, SIZE, seed=0)
    kinds = Counter(labels(clips.clip(index))["kind"] for index in range(len(clips)))
    for kind, share in zip(KINDS, SHARES, strict=True):
        assert abs(kinds[kind] / len(clips) - share) < 0.06


def test_slow_clips_are_met_more_often() -> None:
    rng, clips = np.random.default_rng(0), DrawnClips(3000, SIZE, seed=0)
    ours, plain = (
        Counter(labels(clip)["speed"] for clip in drawn)
        for drawn in (map(clips.clip, range(3000)), (random_clip(rng, shares=SHARES) for _ in range(3000)))
    )
    odds = [speeds["slow"] / speeds["normal"] for speeds in (ours, plain)]
    assert odds[0] / odds[1] == pytest.approx(1 / KEPT, rel=0.2)


def test_a_pool_holds_few_frames_of_many_clips() -> None:
    pictures, masks = frame_pool(SIZE, 6 * FRAMES_OF_EACH, seed=3, workers=0)
    clips = DrawnClips(6, SIZE, seed=3)
    for index, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        frames, where = clips[index // FRAMES_OF_EACH]
        found = (frames == picture).all(dim=(1, 2, 3)) & (where == mask).all(dim=(1, 2))
        assert found.any(), f"picture {index} is of its clip"


def test_a_large_pool_needs_few_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + 30, hard))
    try:
        pictures, _ = frame_pool(SIZE, 20 * 16 * FRAMES_OF_EACH, seed=0, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(pictures) == 20 * 16 * FRAMES_OF_EACH
