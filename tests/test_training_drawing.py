"""Drawing and captions depend on nothing but the seed, and the judge sees what was drawn."""

import numpy as np
import pytest

from training.captions import describe, vocabulary
from training.drawing import (
    DIRECTIONS,
    NUM_FRAMES,
    POSITIONS,
    RADII,
    SHAPES,
    SIZE,
    coverage,
    draw_clip,
    every_frame,
    palettes,
    random_scene,
)
from training.judge import judge


def test_drawing_is_deterministic() -> None:
    first, second = (random_scene(np.random.default_rng(7)) for _ in range(2))
    assert first == second
    clip = draw_clip(first)
    assert clip.shape == (NUM_FRAMES, SIZE, SIZE, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, draw_clip(second))


def test_objects_stay_on_the_grid() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = random_scene(rng)
        for frame in range(NUM_FRAMES):
            assert set(scene.centre(frame)) <= set(POSITIONS)


def test_every_frame_is_every_picture_once() -> None:
    pictures = list(every_frame())
    assert (
        len(set(pictures))
        == len(pictures)
        == len(SHAPES) * len(palettes()) * len(RADII) * len(POSITIONS) ** 2
    )


@pytest.mark.parametrize(("shape", "expected"), [("circle", np.pi * 100), ("square", 2 * 120**2 / 100)])
def test_coverage_sums_to_the_area(shape: str, expected: float) -> None:
    assert coverage(shape, 10, 32, 32).sum() == pytest.approx(expected, rel=0.02)


def test_judge_sees_what_was_drawn() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        scene = random_scene(rng)
        verdict = judge(draw_clip(scene))
        assert (verdict.colour, verdict.shape) == (scene.colour, scene.shape)
        assert (verdict.direction, verdict.background) == (scene.direction, scene.background)


def test_judge_finds_no_object_in_a_plain_clip() -> None:
    verdict = judge(np.full((NUM_FRAMES, SIZE, SIZE, 3), 10, dtype=np.uint8))
    assert (verdict.colour, verdict.shape, verdict.direction) == (None, None, None)
    assert verdict.background == "black"


def test_captions_say_what_matters_in_known_words() -> None:
    rng = np.random.default_rng(0)
    scene = random_scene(rng)
    captions = {describe(scene, rng) for _ in range(50)}
    assert len(captions) > 20
    known = set(vocabulary())
    plain = [caption for caption in captions if set(caption.replace(",", "").split()) <= known]
    assert len(plain) > 30
    assert set(DIRECTIONS) - {"still"} <= known
