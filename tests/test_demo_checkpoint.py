"""The shipped demo checkpoint does what its prompts say, judged by pixels."""

import numpy as np
import pytest
import torch

from services.catalogue_entry import REPOSITORY_ROOT
from training.evaluate import generate, load, random_prompts, scores

COUNT = 24


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """A clip for each of COUNT captions that training never saw: uint8[COUNT, T, H, W, 3]."""
    torch.set_num_threads(2)
    _, prompts = random_prompts(COUNT, seed=2)
    return generate(load(REPOSITORY_ROOT / "checkpoints" / "demo"), prompts, seed=0)


def test_clips_show_what_their_prompts_say(clips: np.ndarray) -> None:
    scenes, _ = random_prompts(COUNT, seed=2)
    table = scores(scenes, clips)
    assert table["background"] >= 0.9
    assert table["colour"] >= 0.9
    assert table["direction"] >= 0.75
    assert table["shape"] >= 0.6


def test_clips_of_other_prompts_do_not(clips: np.ndarray) -> None:
    scenes, _ = random_prompts(COUNT, seed=2)
    assert scores(scenes, np.roll(clips, 1, axis=0))["all four"] <= 0.2
