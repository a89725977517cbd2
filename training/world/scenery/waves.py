"""Waves on the sea: rows of them roll towards the shore under a bright sky."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import axes, colour, edge, finish, gradient, noise, paint, step

SKIES = (
    ((58, 140, 220), (190, 226, 246)),
    ((80, 120, 190), (246, 206, 176)),
    ((70, 160, 214), (222, 240, 240)),
)
SEAS = (
    ((44, 120, 180), (8, 44, 104)),
    ((36, 140, 168), (4, 60, 96)),
    ((60, 110, 170), (14, 30, 84)),
)
"""Colours of the water from far to near."""
ROWS = 6


def waves(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the colours of sky and sea, the sun's place, and the waves' length, height and speed."""
    time, y, x = axes(size, num_frames)
    top, low = SKIES[rng.integers(len(SKIES))]
    far, near = (np.array(rgb, np.float32) for rgb in SEAS[rng.integers(len(SEAS))])
    horizon = rng.uniform(0.3, 0.38)
    picture = np.repeat(gradient(y, [(0.0, top), (horizon, low)]), num_frames, axis=1) * np.ones_like(x)

    sun_x, sun_y = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.17)
    away = np.hypot(x - np.float32(sun_x), y - np.float32(sun_y))
    paint(picture, colour((255, 244, 200)), 0.7 * np.exp(-away / 0.09))
    paint(picture, colour((255, 252, 232)), edge(away - 0.055, size))
    cloud = noise(rng, (x + 0.04 * time) * 3, y * 9, octaves=3)
    paint(picture, colour((255, 255, 255)), 0.8 * step(0.55, 0.75, cloud) * step(horizon, horizon - 0.1, y))

    side = rng.choice((-1, 1))
    for row in range(ROWS):
        depth = row / (ROWS - 1)
        base = horizon + 0.012 + (0.9 - horizon) * depth**1.35
        height, length = 0.008 + 0.055 * depth, 0.13 + 0.38 * depth
        phase = 2 * np.pi * (rng.random() + side * time * rng.uniform(0.45, 0.6) * (1 if row % 2 else -0.7))
        turn = (2 * np.pi * x / np.float32(length * rng.uniform(0.85, 1.15)) + phase).astype(np.float32)
        bob = np.sin(2 * np.pi * (0.45 * time + rng.random())).astype(np.float32)
        # Crests are narrower than troughs, as in Gerstner's waves.
        swell = np.sin(turn + 0.6 * np.cos(turn)) + 0.25 * np.sin(1.7 * turn + 2)
        crest = (base - height * swell + 0.25 * height * bob).astype(np.float32)
        below = (y - crest) / np.float32(0.03 + 0.16 * depth)
        water = far * (1 - depth) + near * depth
        light = np.minimum(water * 1.25 + 42, 255)
        body = gradient(np.clip(below, 0, 1), [(0.0, light), (0.35, water * 1.08), (1.0, water * 0.86)])
        covered = edge(crest - y, size)
        paint(picture, body, covered)
        foam = step(0.3, 1.0, swell) * step(0.3 + 0.1 * depth, 0.0, below)
        paint(picture, colour((240, 250, 252)), (0.35 + 0.6 * np.float32(depth)) * foam * covered)
    beside = np.abs(x - np.float32(sun_x)) / (0.05 + 0.25 * np.maximum(y - np.float32(horizon), 0))
    picture += colour((56, 48, 30)) * np.exp(-(beside**2)) * step(horizon, horizon + 0.04, y)
    return finish(picture)
