"""A ball that bounces across a floor: it turns, is squashed where it lands, and throws a shadow."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import Floats, axes, colour, edge, finish, gradient, paint, step

BALLS = (
    ((226, 44, 44), (250, 240, 232)),
    ((40, 110, 230), (250, 246, 240)),
    ((250, 150, 30), (96, 44, 20)),
    ((60, 176, 84), (248, 240, 200)),
    ((240, 200, 40), (214, 60, 60)),
    ((170, 70, 210), (250, 220, 250)),
)
"""The colours of each ball's stripes."""
ROOMS = (
    ((206, 222, 232), (236, 240, 240), (186, 142, 98), (148, 104, 66)),
    ((238, 214, 190), (248, 234, 216), (156, 120, 96), (112, 82, 66)),
    ((176, 204, 186), (214, 230, 216), (206, 178, 136), (164, 132, 92)),
    ((70, 78, 112), (112, 120, 152), (128, 104, 104), (84, 66, 76)),
)
"""Colours of the wall (top, bottom) and of the floor (far, near)."""
EDGE = 0.68
"""Where wall and floor meet."""


def ball(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the ball, the room, and how high, how often and which way the ball bounces."""
    time, y, x = axes(size, num_frames)
    picture = np.repeat(_room(rng, y, x, size), num_frames, axis=1)
    stripes = BALLS[rng.integers(len(BALLS))]
    radius, height = rng.uniform(0.1, 0.14), rng.uniform(0.36, 0.46)
    ground = rng.uniform(0.82, 0.87)
    hop = np.float32(rng.uniform(0.62, 0.9))
    phase = (time / hop + np.float32(rng.random())) % 1
    lift = 4 * phase * (1 - phase)
    side = rng.choice((-1, 1))
    middle = (0.5 + side * (0.27 * time - 0.25)).astype(np.float32)

    squash = 1 - 0.22 * step(0.22, 0.0, lift)
    wide, tall = radius / np.sqrt(squash), radius * squash
    centre = ground - tall - height * lift
    shade_width = radius * (0.85 + 0.5 * lift)
    away = np.hypot((x - middle) / shade_width, (y - np.float32(ground)) / (0.28 * shade_width))
    paint(picture, colour((24, 18, 18)), (0.55 - 0.35 * lift) * step(1.25, 0.35, away))

    across, down = (x - middle) / wide, (y - centre) / tall
    _sphere(picture, stripes, across, down, side * 2.6 * time, radius * size)
    return finish(picture)


def _room(rng: np.random.Generator, y: Floats, x: Floats, size: int) -> Floats:
    """A wall over planks that run towards the viewer: [3, 1, S, S]."""
    top, bottom, far, near = ROOMS[rng.integers(len(ROOMS))]
    stops = [(0.0, top), (EDGE - 0.001, bottom), (EDGE, far), (1.0, near)]
    room = gradient(y, stops) * np.ones_like(x)
    depth = np.maximum(y - np.float32(EDGE - 0.12), 0.02)
    plank = ((x - 0.5) / depth * 0.8 + np.float32(rng.random())) % 1
    beside = np.minimum(plank, 1 - plank) / 0.8 * depth / np.hypot(1, (x - 0.5) / depth)
    seam = edge((beside - 0.003).astype(np.float32), size)
    paint(room, colour(np.array(near) * 0.72), 0.55 * seam * (y > EDGE))
    paint(room, colour(np.array(bottom) * 0.82), edge(np.abs(y - EDGE + 0.012) - np.float32(0.014), size))
    return room


def _sphere(
    picture: Floats,
    stripes: tuple[tuple[int, int, int], tuple[int, int, int]],
    x: Floats,
    y: Floats,
    turned: Floats,
    pixels: float,
) -> None:
    """A lit, striped sphere; x and y in radii from its centre, the radius in pixels."""
    away = np.hypot(x, y)
    depth = np.sqrt(np.maximum(1 - away**2, 0))
    light = 0.42 + 0.62 * np.clip(-0.5 * x - 0.62 * y + 0.6 * depth, 0, 1)
    cos, sin = np.cos(turned), np.sin(turned)
    band = cos * x + sin * y
    share = np.clip(0.5 + (np.abs(band) - 0.3) * np.float32(pixels), 0, 1)
    skin = colour(stripes[1]) + share * (colour(stripes[0]) - colour(stripes[1]))
    shine = 0.85 * step(0.3, 0.05, np.hypot(x + 0.38, y + 0.42))
    paint(picture, skin * light + shine * (1 - skin), np.clip(0.5 + (1 - away) * np.float32(pixels), 0, 1))
