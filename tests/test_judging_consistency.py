"""What flickers is measured in levels; what is drawn is steady."""

import numpy as np
import pytest

from training.judging.consistency import Consistency, consistency
from training.judging.objects import look
from training.world.clip import Objects, Thing, draw

CLIP = Objects((Thing("square", "green", "large"),), None, "left", "normal", "grey", 3)


def measured(frames: np.ndarray) -> Consistency:
    return consistency(frames, look(frames))


def test_a_drawn_clip_is_steady() -> None:
    found = measured(draw(CLIP).frames)
    assert found.flicker == 0
    assert found.colour < 0.5
    assert found.area < 0.02


def test_even_growth_is_steady() -> None:
    growing = Objects(CLIP.things, None, "grow", "normal", "grey", 3)
    assert measured(draw(growing).frames).area < 0.02


def test_a_background_that_flickers_is_measured_in_levels() -> None:
    drawing = draw(CLIP)
    flicker = np.where(np.arange(16) % 2, 5, 0)[:, None, None, None]
    frames = (drawing.frames + flicker * ~drawing.mask[..., None]).astype(np.uint8)
    assert measured(frames).flicker == pytest.approx(5, abs=0.3)


def test_a_thing_that_changes_its_shade_is_measured() -> None:
    drawing = draw(CLIP)
    shade = np.where(np.arange(16) % 2, 20, 0)[:, None, None, None]
    frames = np.clip(drawing.frames + shade * drawing.mask[..., None], 0, 255).astype(np.uint8)
    assert measured(frames).colour == pytest.approx(10 * 3**0.5, abs=1.5)


def test_a_clip_without_things_has_no_colour_to_keep() -> None:
    found = measured(np.full((16, 64, 64, 3), 120, np.uint8))
    assert found.flicker == 0
    assert np.isnan(found.colour)
