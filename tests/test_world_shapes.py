"""Shapes have the outlines, areas and reach that their distances promise."""

import numpy as np
import pytest

from training.world.shapes import REACH, SHAPES

STEP = 0.01
AXIS = np.arange(-1.6, 1.6, STEP).astype(np.float32)
Y, X = np.meshgrid(AXIS, AXIS, indexing="ij")


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_stays_within_its_reach(name: str) -> None:
    inside = SHAPES[name](X, Y) < 0
    assert np.hypot(X, Y)[inside].max() <= REACH + STEP
    assert 1.3 < inside.sum() * STEP**2 < 3.5


@pytest.mark.parametrize("name", SHAPES)
def test_distances_grow_by_one_a_unit_at_the_outline(name: str) -> None:
    distance = SHAPES[name](X, Y)
    slope = np.hypot(*np.gradient(distance, STEP))
    assert np.median(slope[np.abs(distance) < 0.05]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("circle", np.pi),
        ("square", 1.68**2),
        ("triangle", 0.75 * 3**0.5 * 1.2**2),
        ("ring", np.pi * 1.6 * 0.5),
    ],
)
def test_areas(name: str, area: float) -> None:
    assert (SHAPES[name](X, Y) < 0).sum() * STEP**2 == pytest.approx(area, rel=0.02)


def test_what_points_up_points_up() -> None:
    for name in ("triangle", "star"):
        top, bottom = SHAPES[name](np.zeros(2, np.float32), np.array([-1.1, 1.1], np.float32))
        assert top < 0 < bottom
    top, bottom = SHAPES["heart"](np.zeros(2, np.float32), np.array([-0.9, 0.9], np.float32))
    assert bottom < 0 < top
