"""Geometric shapes that dance and morph into one another."""

import numpy as np
from numpy.typing import NDArray

from training.world import shapes as outlines
from training.world.scenery.canvas import Floats, axes, colour, edge, finish, gradient, paint, step

SCHEMES = (
    (
        (24, 16, 56),
        (70, 28, 96),
        ((255, 92, 120), (255, 206, 84), (88, 220, 232), (190, 120, 255), (130, 240, 150)),
    ),
    (
        (12, 34, 54),
        (16, 84, 96),
        ((255, 176, 60), (250, 96, 92), (250, 240, 210), (90, 220, 190), (250, 130, 200)),
    ),
    (
        (248, 238, 222),
        (240, 206, 190),
        ((226, 70, 70), (40, 96, 170), (246, 178, 40), (50, 150, 120), (120, 66, 150)),
    ),
    (
        (30, 30, 36),
        (64, 64, 78),
        ((0, 224, 200), (255, 70, 150), (255, 226, 70), (90, 140, 255), (255, 140, 60)),
    ),
)
"""Colours of the background (middle, rim) and of the shapes."""
CHANGES = 3
"""Shapes that each dancer becomes over the clip, its first included."""


def shapes(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the colours, the number of dancers, their figures, and what becomes what."""
    time, y, x = axes(size, num_frames)
    middle, rim, tints = SCHEMES[rng.integers(len(SCHEMES))]
    away = np.hypot(x - np.float32(0.5), y - np.float32(0.5))
    picture = np.repeat(gradient(away, [(0.0, rim), (0.75, middle)]), num_frames, axis=1)
    ring = 0.5 + 0.5 * np.sin(2 * np.pi * (away * 5 - 0.8 * time))
    paint(picture, colour(rim), 0.5 * ring * step(0.8, 0.1, away))

    dancers = int(rng.integers(3, 6))
    order = rng.permutation(len(tints))
    whirl = rng.choice((-1, 1)) * rng.uniform(0.2, 0.32)
    for dancer in range(dancers):
        turn = 2 * np.pi * (dancer / dancers + whirl * time)
        sway = 0.25 + 0.05 * np.sin(2 * np.pi * (0.9 * time + dancer / dancers))
        at_x = 0.5 + sway * np.cos(turn) * 1.05
        at_y = 0.5 + sway * np.sin(turn)
        radius = (0.31 / np.sqrt(dancers)) * (1 + 0.14 * np.sin(2 * np.pi * (1.1 * time + dancer / dancers)))
        spin = np.float32(rng.choice((-1, 1)) * rng.uniform(1.2, 2.2)) * time + np.float32(rng.uniform(0, 6))
        cos, sin = np.cos(spin), np.sin(spin)
        across, down = (x - at_x) / radius, (y - at_y) / radius
        distance = _morph(rng, cos * across + sin * down, cos * down - sin * across, time) * radius
        tint = colour(tints[order[dancer % len(tints)]])
        paint(picture, tint, 0.35 * np.exp(-np.maximum(distance, 0) / 0.035))
        paint(picture, tint, edge(distance, size))
        inner = edge(distance + 0.2 * radius, size)
        paint(picture, tint + 0.55 * (1 - tint), 0.8 * inner)
    return finish(picture)


def _morph(rng: np.random.Generator, x: Floats, y: Floats, time: Floats) -> Floats:
    """The distance to a shape that becomes another, and another, resting a little between."""
    names = rng.permutation(["circle", "square", "triangle", "star", "heart", "cross"])[:CHANGES]
    fields = [outlines.SHAPES[str(name)](x, y) for name in names]
    moment = time * (CHANGES - 1) / 1.9 + np.float32(rng.uniform(0, 0.15))
    distance = fields[0]
    for change, field in enumerate(fields[1:]):
        distance = distance + step(0.2, 0.8, moment - change) * (field - distance)
    return distance
