"""What the sceneries are painted with: pictures float32[3, T, S, S] of light from 0 to 1.

Places are in widths of the picture, x to the right and y down; time is in seconds.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Painter = Callable[[np.random.Generator, int, int], NDArray[np.uint8]]
FPS = 8


def axes(size: int, num_frames: int) -> tuple[Floats, Floats, Floats]:
    """Time [T, 1, 1], y [1, S, 1] and x [1, 1, S], which broadcast to [T, S, S]."""
    middle = ((np.arange(size) + 0.5) / size).astype(np.float32)
    time = (np.arange(num_frames) / FPS).astype(np.float32)
    return time[:, None, None], middle[None, :, None], middle[None, None, :]


def colour(rgb: ArrayLike) -> Floats:
    """A colour of 0 to 255 as it is painted with: [3, 1, 1, 1] of 0 to 1."""
    return (np.asarray(rgb, np.float32) / 255).reshape(3, 1, 1, 1)


def gradient(at: Floats, stops: Sequence[tuple[float, ArrayLike]]) -> Floats:
    """Colours between stops (place, RGB of 0 to 255): [3, ...] for places of any shape [...]."""
    places = [place for place, _ in stops]
    channels = np.stack([np.asarray(rgb, np.float32) / 255 for _, rgb in stops], axis=1)
    return np.stack([np.interp(at, places, channel).astype(np.float32) for channel in channels])


def paint(picture: Floats, what: Floats, coverage: Floats) -> None:
    """Cover a picture with a colour or another picture, in place, where coverage [T, S, S] is 1."""
    picture += coverage * (what - picture)


def step(low: float, high: float, value: Floats) -> Floats:
    """0 up to low, 1 from high on (or the reverse), smooth in between."""
    share = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Floats = share * share * (3 - 2 * share)
    return smooth


def edge(distance: Floats, size: int) -> Floats:
    """Coverage of what lies at negative distances, its edge one pixel soft."""
    coverage: Floats = np.clip(0.5 - distance * np.float32(size), 0, 1)
    return coverage


def spots(size: int, x: Floats, y: Floats, light: Floats, width: ArrayLike, height: ArrayLike) -> Floats:
    """The sum of N soft spots a frame, whose places and light are [T, N]: [T, S, S].

    A Gaussian is the product of one along x and one along y; so the sum is a product of matrices.
    """
    middle = ((np.arange(size) + 0.5) / size).astype(np.float32)
    width, height = np.asarray(width, np.float32), np.asarray(height, np.float32)
    along_x = np.exp(-np.square((middle - x[..., None]) / width[..., None]))
    along_y = np.exp(-np.square((middle - y[..., None]) / height[..., None]))
    total: Floats = np.matmul((along_y * light[..., None]).transpose(0, 2, 1), along_x)
    return total


def noise(rng: np.random.Generator, x: Floats, y: Floats, octaves: int = 3) -> Floats:
    """Smooth noise of 0 to 1 at places of any shape, its largest features one unit apart.

    Value noise: random numbers on a grid, blended smoothly between, summed over octaves (Perlin, 1985).
    """
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for octave in range(octaves):
        grid = rng.random((32, 32)).astype(np.float32)
        across, down = x * 2**octave, y * 2**octave
        left, top = np.floor(across).astype(int), np.floor(down).astype(int)
        right_share, low_share = step(0, 1, across - left), step(0, 1, down - top)
        upper, lower = (
            grid[row % 32, left % 32] * (1 - right_share) + grid[row % 32, (left + 1) % 32] * right_share
            for row in (top, top + 1)
        )
        total += (upper * (1 - low_share) + lower * low_share) / 2**octave
    normal: Floats = total / np.float32(2 - 2 ** (1 - octaves))
    return normal


def hills(rng: np.random.Generator, x: Floats, waves: float, roughness: float = 0.5) -> Floats:
    """A skyline of 0 to 1 with pointed peaks, about so many to the picture, between smaller ones."""
    total, weight = np.zeros(x.shape, np.float32), 0.0
    for octave in range(5):
        amplitude = roughness**octave
        grid = rng.random(64).astype(np.float32)
        across = x * np.float32(waves * 2 * 2**octave) + np.float32(rng.uniform(0, 64))
        left = np.floor(across).astype(int)
        share = across - left
        total += np.float32(amplitude) * (grid[left % 64] * (1 - share) + grid[(left + 1) % 64] * share)
        weight += amplitude
    skyline: Floats = total / np.float32(weight)
    return skyline


def pan(layer: Floats, shift: Floats, size: int) -> Floats:
    """Windows of a wide layer [C, S, W], each shifted right by so many pixels: [C, T, S, size]."""
    whole = np.floor(shift.ravel()).astype(int)
    rest = shift.ravel() - whole
    return np.stack(
        [
            (1 - part) * layer[..., start : start + size] + part * layer[..., start + 1 : start + 1 + size]
            for start, part in zip(whole, rest.astype(np.float32), strict=True)
        ],
        axis=1,
    )


def finish(picture: Floats) -> NDArray[np.uint8]:
    """A picture as frames uint8[T, S, S, 3]."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 3, 0).copy()
