"""Tells the shape of a thing, how it turns, and how large it is in each frame."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.world.motions import TURNS
from training.world.shapes import SHAPES

Floats = NDArray[np.float32]

GRID = 25
"""Samples along one side of what is compared, for a square of twice the root of the thing's area."""
ANGLES = 72
"""Steps of a full turn."""
BLUR = 0.8
"""Softness of the drawings that are compared, in samples."""
LEAST_LIKENESS = 0.9
"""Correlation with the drawing of a shape from which on a thing has that shape."""
TURNING_GAIN = 0.02
"""How much more alike the drawing is where a thing is said to turn."""


@dataclass(frozen=True)
class Outline:
    """What a thing's coverage tells: its name in SHAPES, None where it is like none; whole turns over the
    clip, clockwise; and for each frame the centre (x, y), float64[T, 2] in widths of the picture, and the
    radius float64[T] likewise, not a number where it is not to be seen.
    """

    shape: str | None
    turns: float
    centre: NDArray[np.float64]
    radius: NDArray[np.float64]


@dataclass(frozen=True)
class _Drawings:
    """All shapes at all angles: samples float32[N, ANGLES, GRID²], the area of each shape of radius 1,
    float64[N], and its centroid (x, y) when it is upright, float64[N, 2].
    """

    samples: Floats
    area: NDArray[np.float64]
    centroid: NDArray[np.float64]


def find_outline(coverage: Floats) -> Outline:
    """The outline of a thing that covers float32[T, S, S] of a picture."""
    count, size = coverage.shape[:2]
    area = coverage.sum(axis=(1, 2), dtype=np.float64)
    seen = area > 0
    places = (np.arange(size) + 0.5) / size
    weight = np.where(seen, area, np.nan)
    centroid = (
        np.stack([coverage.sum(axis=1) @ places, coverage.sum(axis=2) @ places], axis=1) / weight[:, None]
    )
    root = np.sqrt(weight) / size
    samples = np.stack(
        [_sample(*each) for each in zip(coverage[seen], centroid[seen], root[seen], strict=True)]
    )
    drawings = _drawings()
    likeness = np.einsum("tg,nag->tna", samples, drawings.samples)
    best, turns, angle = _best_turning(likeness, np.linspace(0, 1, count)[seen])
    radius = root / np.sqrt(drawings.area[best])
    turned = 2 * np.pi * (angle / ANGLES + turns * np.linspace(0, 1, count))
    cos, sin = np.cos(turned), np.sin(turned)
    x, y = drawings.centroid[best]
    centre = centroid - radius[:, None] * np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)
    alike = likeness[:, best].max(axis=1).mean() >= LEAST_LIKENESS
    return Outline(list(SHAPES)[best] if alike else None, turns, centre, radius)


def _best_turning(likeness: Floats, progress: NDArray[np.float64]) -> tuple[int, float, int]:
    """The shape, the turns over the clip and the first angle (in steps) that agree best with all frames.

    likeness float32[T, N, ANGLES] of each frame to each drawing; progress float64[T], from 0 to 1.
    """
    fastest = 1.3 * max(TURNS.values())
    candidates = np.linspace(-fastest, fastest, 53)
    candidates[26] = 0
    steps = np.rint(candidates[:, None] * progress * ANGLES).astype(int)
    angles = (np.arange(ANGLES)[:, None] + steps[:, None]) % ANGLES
    frames = np.arange(len(progress))
    scores = likeness[frames, :, angles].mean(axis=2)
    by_shape = scores.max(axis=(0, 1))
    best = int(by_shape.argmax())
    resting = scores[26, :, best]
    if by_shape[best] < resting.max() + TURNING_GAIN:
        return best, 0.0, int(resting.argmax())
    turning, angle = np.unravel_index(scores[:, :, best].argmax(), scores.shape[:2])
    return best, float(candidates[turning]), int(angle)


def _sample(coverage: Floats, centroid: NDArray[np.float64], root: float) -> Floats:
    """A picture's square around a centroid, of twice the root of the area, float32[GRID²], normalised."""
    size = len(coverage)
    along = np.linspace(-1, 1, GRID) * root
    rows, columns = ((centroid[axis] + along) * size - 0.5 for axis in (1, 0))
    return _normalised(ndimage.map_coordinates(coverage, np.meshgrid(rows, columns, indexing="ij"), order=1))


def _normalised(samples: Floats) -> Floats:
    flat = samples.reshape(*samples.shape[:-2], -1).astype(np.float32)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    normalised: Floats = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
    return normalised


@cache
def _drawings() -> _Drawings:
    """Every shape drawn finely, and seen through _sample's square at every angle."""
    fine = 160
    reach = 1.5
    across = ((np.arange(fine) + 0.5) / fine * 2 - 1).astype(np.float32) * reach
    x, y = np.meshgrid(across, across)
    samples, areas, centroids = [], [], []
    for shape in SHAPES.values():
        inside = shape(x, y) < 0
        area = float(inside.sum()) * (2 * reach / fine) ** 2
        centroid = np.array([x[inside].mean(), y[inside].mean()], np.float64)
        along = (np.linspace(-1, 1, GRID) * np.sqrt(area)).astype(np.float32)
        right, down = np.meshgrid(along, along)
        pictures = []
        for angle in 2 * np.pi * np.arange(ANGLES) / ANGLES:
            cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            edge = shape(
                cos * right + sin * down + np.float32(centroid[0]),
                cos * down - sin * right + np.float32(centroid[1]),
            )
            sharp = np.clip(0.5 - edge / (along[1] - along[0]), 0, 1)
            pictures.append(ndimage.gaussian_filter(sharp, BLUR))
        samples.append(_normalised(np.stack(pictures)))
        areas.append(area)
        centroids.append(centroid)
    return _Drawings(np.stack(samples), np.array(areas), np.array(centroids))
