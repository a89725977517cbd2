"""A sunset over mountain ranges: the sun sinks behind receding ridges, clouds drift across a glowing sky."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import axes, colour, edge, finish, gradient, hills, noise, paint, step

HORIZON = 0.62
SKIES = (
    ((38, 40, 92), (128, 70, 130), (236, 116, 88), (255, 196, 104)),
    ((52, 34, 92), (170, 66, 116), (248, 120, 74), (255, 204, 120)),
    ((30, 62, 120), (120, 116, 160), (244, 160, 104), (255, 220, 140)),
    ((64, 24, 66), (176, 48, 72), (244, 100, 48), (255, 186, 80)),
)
"""Colours of the sky from the top to the horizon."""
NEAR = ((28, 18, 48), (24, 22, 44), (20, 26, 52), (34, 14, 34))
"""The colour of the nearest ridge under each sky."""
RIDGES = 4


def sunset(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by its sky, the sun's place, the clouds and the ridges."""
    time, y, x = axes(size, num_frames)
    choice = int(rng.integers(len(SKIES)))
    top, upper, lower, low = SKIES[choice]
    stops = [(0.0, top), (0.24, upper), (0.46, lower), (HORIZON, low), (1.0, low)]
    picture = gradient(y, stops) * np.ones_like(x) * (1 - 0.07 * time)

    sun_x, sun_y = rng.uniform(0.3, 0.7), rng.uniform(0.36, 0.39) + 0.085 * time
    away = np.hypot(x - np.float32(sun_x), y - sun_y)
    paint(picture, colour((255, 214, 130)), 0.75 * np.exp(-away / 0.13))
    paint(picture, colour((255, 168, 90)), 0.35 * np.exp(-away / 0.4))
    light = gradient(time, [(0.0, (255, 244, 200)), (2.0, (255, 222, 140))])
    paint(picture, light, edge(away - 0.095, size))

    drift = np.float32(rng.choice((-1, 1)) * rng.uniform(0.05, 0.09)) * time
    cloud = noise(rng, (x + drift) * 2.4 + 9, y * 9.0, octaves=4)
    lit = step(0.5, 0.0, np.abs(y - sun_y)) * step(0.7, 0.0, away)
    cover = 0.85 * step(0.52, 0.72, cloud) * step(0.02, 0.14, y) * step(HORIZON, 0.4, y)
    shade = gradient(
        np.clip(lit, 0, 1), [(0.0, np.multiply(upper, 0.8)), (0.6, lower), (1.0, (255, 226, 150))]
    )
    paint(picture, shade, cover * step(0.05, 0.13, away))

    camera = np.float32(rng.choice((-1, 1)) * rng.uniform(0.02, 0.04)) * time
    far, near = np.array(low) * 0.55 + np.array(upper) * 0.4, np.array(NEAR[choice])
    for ridge in range(RIDGES):
        depth = ridge / (RIDGES - 1)
        base, height = 0.58 + 0.32 * depth, 0.36 - 0.06 * ridge
        peaks = hills(rng, x + camera * (0.3 + 1.7 * depth), rng.uniform(1.3, 1.8), roughness=0.42)
        skyline = base - height * (peaks - 0.5)
        rock = far * (1 - depth) ** 1.2 + near * (1 - (1 - depth) ** 1.2)
        mist = rock + (far - rock) * 0.4 + 14
        below = (y - skyline) / 0.22
        body = gradient(np.clip(below, 0, 1), [(0.0, rock), (1.0, mist if depth < 1 else rock * 0.7)])
        paint(picture, body, edge(skyline - y, size))
    return finish(picture)
