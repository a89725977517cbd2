"""The shipped demo checkpoint does what its prompts say, judged by pixels."""

import numpy as np
import pytest

from services.catalogue import REPOSITORY_ROOT
from services.generation.schedulers import make_scheduler
from training.evaluate import held_out_cases
from training.judging.agreement import agreement
from training.judging.objects import judge
from training.judging.tables import Case
from training.sampling import STEPS, generate, load
from training.world.clip import Scenery, draw

COUNT = 16
LEAST = {"colour": 0.9, "shape": 0.75, "motion": 0.85, "background": 0.9}
"""What the checkpoint's card measured on hundreds of clips, less the chance of sixteen."""
SCENES = {
    "sunset": "a peaceful sunset over mountain ranges",
    "city": "a futuristic city with flying vehicles",
    "reef": "a coral reef under water",
    "snow": "snow falling gently",
    "clock": "a clock on the wall",
    "waves": "waves rolling over the sea",
}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Captions of one thing that training never saw."""
    return [case for case in held_out_cases(3 * COUNT, seed=2) if case.kind == 1][:COUNT]


@pytest.fixture(scope="module")
def clips(cases: list[Case]) -> dict[str, np.ndarray]:
    """For each prompt, of the cases and of SCENES, a clip uint8[T, H, W, 3], in as many steps as `fast`."""
    prompts = [case.caption for case in cases] + list(SCENES.values())
    pipe = load(REPOSITORY_ROOT / "checkpoints" / "demo")
    pipe.scheduler = make_scheduler("dpm++", pipe.scheduler.config, "trailing")
    return dict(zip(prompts, generate(pipe, prompts, seed=0, steps=STEPS // 2), strict=True))


def share_right(cases: list[Case], clips: list[np.ndarray], attribute: str) -> float:
    marks = [
        agreement(case.clip, case.caption, judge(clip), "none")
        for case, clip in zip(cases, clips, strict=True)
    ]
    return float(np.mean([mark[attribute] for mark in marks]))


@pytest.mark.parametrize("attribute", LEAST)
def test_clips_show_what_their_prompts_say(
    cases: list[Case], clips: dict[str, np.ndarray], attribute: str
) -> None:
    asked = [clips[case.caption] for case in cases]
    assert share_right(cases, asked, attribute) >= LEAST[attribute]
    assert share_right(cases, asked[1:] + asked[:1], attribute) <= 0.3


def thumbnail(clip: np.ndarray) -> np.ndarray:
    """The clip's mean picture in 8×8 cells: float[8, 8, 3]."""
    size = clip.shape[1] // 8
    cells: np.ndarray = clip.mean(axis=0).reshape(8, size, 8, size, 3).mean(axis=(1, 3))
    return cells


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_most_like_drawings_of_it(clips: dict[str, np.ndarray], name: str) -> None:
    """By the nearest of twenty drawings of each scene."""
    drawings = {
        other: [thumbnail(draw(Scenery(other, seed)).frames) for seed in range(20)] for other in SCENES
    }
    shown = thumbnail(clips[SCENES[name]])
    nearest = {other: min(np.abs(shown - each).mean() for each in found) for other, found in drawings.items()}
    assert min(nearest, key=lambda other: nearest[other]) == name
