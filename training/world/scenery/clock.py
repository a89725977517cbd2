"""A clock on a wall, its hands turning as time flies."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import Floats, axes, colour, edge, finish, gradient, paint, step

LOOKS = (
    ((176, 74, 58), (120, 42, 40), (60, 40, 34), (252, 246, 232), (40, 34, 38), (210, 40, 40)),
    ((86, 134, 162), (44, 82, 116), (232, 236, 240), (250, 252, 252), (34, 46, 64), (236, 110, 40)),
    ((122, 156, 110), (72, 104, 74), (112, 74, 44), (255, 250, 230), (58, 42, 30), (180, 60, 40)),
    ((222, 190, 120), (186, 140, 74), (40, 54, 84), (250, 250, 246), (34, 40, 66), (44, 120, 214)),
    ((104, 84, 140), (60, 46, 96), (216, 176, 84), (250, 244, 236), (48, 34, 70), (220, 70, 130)),
)
"""Colours of the wall (top, bottom), the rim, the face, the hands and the second hand."""


def clock(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by its colours, its place and size, the hour, and how fast the hands turn."""
    time, y, x = axes(size, num_frames)
    top, bottom, rim, face, hand, second = LOOKS[rng.integers(len(LOOKS))]
    wall = gradient(y, [(0.0, top), (1.0, bottom)]) * np.ones_like(x)
    radius = np.float32(rng.uniform(0.33, 0.4))
    middle = rng.uniform(0.46, 0.54, 2).astype(np.float32)
    x, y = (x - middle[0]) / radius, (y - middle[1]) / radius
    pixels = int(size * radius)
    away = np.hypot(x, y)
    shadow = np.hypot(x - 0.08, y - 0.12)
    paint(wall, colour((10, 8, 12)), 0.5 * step(1.3, 0.85, shadow))
    bright = gradient(
        np.clip(0.5 + 0.35 * (x + y), 0, 1),
        [(0, np.minimum(np.array(rim) * 1.35, 255)), (1, np.array(rim) * 0.7)],
    )
    paint(wall, bright, edge(away - 1.0, pixels))
    paint(
        wall,
        gradient(y + 0.9, [(0.0, np.array(face) * 0.93), (1.2, face)]) * np.ones_like(x),
        edge(away - 0.87, pixels),
    )
    for hour in range(12):
        long, thick = (0.17, 0.034) if hour % 3 == 0 else (0.09, 0.024)
        tick: Floats = np.full((1, 1, 1), hour * np.pi / 6, np.float32)
        paint(wall, colour(hand), edge(_bar(x, y, tick, 0.8 - long, 0.8, thick), pixels))

    picture = np.repeat(wall, num_frames, axis=1)
    hours: Floats = np.float32(rng.uniform(0, 12)) + time * np.float32(rng.uniform(0.28, 0.45))
    for turn, length, thick in ((hours * np.pi / 6, 0.45, 0.052), (hours % 1 * 2 * np.pi, 0.68, 0.036)):
        paint(
            picture,
            colour((90, 84, 90)),
            0.3 * edge(_bar(x - 0.03, y - 0.05, turn, -0.1, length, thick), pixels),
        )
        paint(picture, colour(hand), edge(_bar(x, y, turn, -0.1, length, thick), pixels))
    paint(picture, colour(second), edge(away - 0.075, pixels))
    return finish(picture)


def _bar(x: Floats, y: Floats, turn: Floats, start: float, end: float, thick: float) -> Floats:
    """Distance to a bar with round ends that points from the middle at an angle, clockwise from the top."""
    sin, cos = np.sin(turn), np.cos(turn)
    along, beside = x * sin - y * cos, x * cos + y * sin
    beyond = along - np.clip(along, np.float32(start), np.float32(end))
    distance: Floats = np.hypot(beyond, beside) - np.float32(thick)
    return distance
