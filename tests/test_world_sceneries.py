"""Sceneries move, differ by seed, depend on nothing else, and look alike at every size."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.world.clip import Scenery, draw
from training.world.scenery import SCENERIES


def frames(name: str, seed: int, size: int = 64) -> NDArray[np.float64]:
    return draw(Scenery(name, seed), size).frames.astype(float)


@pytest.mark.parametrize("name", SCENERIES)
def test_a_scenery_depends_on_its_seed_alone(name: str) -> None:
    assert np.array_equal(frames(name, 1), frames(name, 1))
    assert np.abs(frames(name, 1) - frames(name, 2)).mean() > 4


@pytest.mark.parametrize("name", SCENERIES)
def test_a_scenery_moves_in_every_frame(name: str) -> None:
    moved = np.abs(np.diff(frames(name, 3), axis=0)).mean(axis=(1, 2, 3))
    assert moved.min() > 0.3
    assert moved.max() < 40


@pytest.mark.parametrize("name", SCENERIES)
def test_a_scenery_of_twice_the_size_is_the_same_picture(name: str) -> None:
    halved = frames(name, 4, 128).reshape(16, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    small, other = frames(name, 4), frames(name, 5)
    difference = np.abs(halved - small).mean()
    assert difference < 6
    assert difference < 0.4 * np.abs(other - small).mean()


def test_sceneries_are_told_apart_by_their_nearest_neighbour() -> None:
    def thumbnail(name: str, seed: int) -> NDArray[np.float64]:
        picture = draw(Scenery(name, seed), 32, num_frames=2).frames[0].astype(float)
        return picture.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).ravel()

    known = [(name, thumbnail(name, seed)) for name in SCENERIES for seed in range(20)]
    right = [
        min(known, key=lambda other: float(np.linalg.norm(other[1] - seen)))[0] == name
        for name in SCENERIES
        for seen in (thumbnail(name, seed) for seed in range(100, 104))
    ]
    assert np.mean(right) > 0.9
