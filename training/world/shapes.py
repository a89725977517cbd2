"""Signed distances to the outlines of shapes: negative inside, in units of the shape's radius.

The ways to fold and to combine distances are Inigo Quilez's: https://iquilezles.org/articles/distfunctions2d/
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def circle(x: Floats, y: Floats) -> Floats:
    """A disc of radius 1."""
    return np.hypot(x, y) - np.float32(1)


def ring(x: Floats, y: Floats) -> Floats:
    """A disc of radius 1.05 with a round hole of radius 0.55."""
    return np.abs(np.hypot(x, y) - np.float32(0.8)) - np.float32(0.25)


def square(x: Floats, y: Floats) -> Floats:
    """Sides of 1.68, upright."""
    return _box(x, y, 0.84, 0.84)


def cross(x: Floats, y: Floats) -> Floats:
    """Two bars as a plus sign."""
    bars: Floats = np.minimum(_box(x, y, 1.08, 0.36), _box(x, y, 0.36, 1.08))
    return bars


def triangle(x: Floats, y: Floats) -> Floats:
    """Three equal sides, one corner at the top."""
    return _star(x, y, points=3, outer=1.2, inner=0.6)


def star(x: Floats, y: Floats) -> Floats:
    """Five points, one at the top."""
    return _star(x, y, points=5, outer=1.2, inner=0.52)


def crescent(x: Floats, y: Floats) -> Floats:
    """A disc out of which another is cut, open to the right."""
    disc = np.hypot(x, y) - np.float32(1.1)
    cut = np.hypot(x - np.float32(0.52), y + np.float32(0.1)) - np.float32(0.86)
    rest: Floats = np.maximum(disc, -cut)
    return rest


def heart(x: Floats, y: Floats) -> Floats:
    """Two round lobes over a right angle that stands on its tip."""
    scale, centre = np.float32(1.8), np.float32(0.58)
    x, y = np.abs(x) / scale, centre - y / scale
    lobe = np.hypot(x - np.float32(0.25), y - np.float32(0.75)) - np.float32(np.sqrt(2) / 4)
    along = np.maximum(x + y, 0) / 2
    edge = np.minimum(np.hypot(x, y - 1), np.hypot(x - along, y - along)) * np.sign(x - y)
    distance: Floats = scale * np.where(x + y > 1, lobe, edge)
    return distance


def _box(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    beyond_x, beyond_y = np.abs(x) - np.float32(half_width), np.abs(y) - np.float32(half_height)
    outside = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
    distance: Floats = outside + np.minimum(np.maximum(beyond_x, beyond_y), 0)
    return distance


def _star(x: Floats, y: Floats, points: int, outer: float, inner: float) -> Floats:
    """Tips at one radius, valleys at another; a regular polygon where inner is outer × cos(π / points).

    All wedges are alike and symmetric: folded onto half a wedge, the outline is one segment.
    """
    half = np.float32(np.pi / points)
    radius: Floats = np.hypot(x, y)
    angle: Floats = np.abs((np.arctan2(x, -y) + half) % (2 * half) - half)
    x, y = radius * np.cos(angle) - np.float32(outer), radius * np.sin(angle)
    edge_x, edge_y = np.float32(inner * np.cos(half) - outer), np.float32(inner * np.sin(half))
    along = np.clip((x * edge_x + y * edge_y) / (edge_x**2 + edge_y**2), 0, 1)
    side = np.sign(x * edge_y - y * edge_x)
    distance: Floats = side * np.hypot(x - along * edge_x, y - along * edge_y)
    return distance


SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "heart": heart,
    "cross": cross,
    "crescent": crescent,
}
"""Each shape's distance for x to the right and y down from its centre."""
REACH = 1.2
"""No shape reaches farther than so many radii from its centre."""
