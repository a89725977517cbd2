"""Snow that falls gently on a forest: flakes near and far before rows of firs."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import Floats, axes, colour, edge, finish, gradient, paint, spots

SKIES = (
    ((22, 32, 68), (92, 112, 156), (208, 220, 240)),
    ((112, 140, 178), (196, 210, 228), (246, 249, 253)),
    ((44, 36, 82), (168, 120, 156), (226, 222, 244)),
)
"""Colours of the sky from the top to the horizon, and of the snow on the ground."""
LAYERS = 3


def snow(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the light of day or night, the trees, the wind, and how much snow falls."""
    time, y, x = axes(size, num_frames)
    top, low, ground = (np.array(rgb, np.float32) for rgb in SKIES[rng.integers(len(SKIES))])
    still = gradient(y, [(0.0, top), (0.7, low)]) * np.ones_like(x)
    for row, depth in enumerate((0.0, 0.5, 1.0)):
        base = 0.64 + 0.13 * depth + 0.02 * np.sin(2 * np.pi * (x * rng.uniform(0.4, 0.8) + rng.random()))
        wood = low * 0.6 * (1 - depth) + np.array((26, 52, 56)) * (0.35 + 0.65 * depth)
        for _ in range(7 - 2 * row):
            height = (0.2 + 0.2 * depth) * rng.uniform(0.8, 1.2)
            middle = (
                rng.uniform(0, 1) if row < 2 else rng.choice((rng.uniform(0, 0.25), rng.uniform(0.75, 1)))
            )
            _fir(still, wood, x - np.float32(middle), y - base, height, size)
        cover = ground * (0.8 + 0.2 * depth)
        body = gradient(
            np.clip((y - base) / 0.3, 0, 1), [(0.0, np.minimum(cover * 1.06, 255)), (1.0, cover * 0.86)]
        )
        paint(still, body, edge((base - y).astype(np.float32), size))

    picture = np.repeat(still, num_frames, axis=1)
    wind, plenty = rng.uniform(-0.1, 0.1), rng.uniform(0.7, 1.3)
    for layer in range(LAYERS):
        near = layer / (LAYERS - 1)
        count = int((90 - 60 * near) * plenty)
        start_x, start_y, sway = rng.random((3, count)).astype(np.float32)
        fall = np.float32(0.16 + 0.26 * near) * (1 + 0.2 * sway)
        rock = 0.015 * (0.5 + near) * np.sin(2 * np.pi * (0.5 * time[:, 0] + sway))
        at_x = (start_x + np.float32(wind * (0.5 + near)) * time[:, 0]) % 1.1 - 0.05 + rock
        at_y = (start_y * 1.1 + fall * time[:, 0]) % 1.1 - 0.05
        light = np.full(at_x.shape, 0.75 + 0.25 * near, np.float32)
        radius = 0.008 + 0.009 * near
        flakes = spots(
            size, at_x.astype(np.float32), at_y, light, np.full(count, radius), np.full(count, radius)
        )
        paint(picture, colour((252, 253, 255)), np.minimum(flakes, 1))
    return finish(picture)


def _fir(picture: Floats, wood: Floats, x: Floats, y: Floats, height: float, size: int) -> None:
    """Three skirts one above the other, the upper rims white; y is 0 at the foot of the tree."""
    paint(picture, colour((58, 44, 44)), edge(np.maximum(np.abs(x) - 0.012, np.abs(y + 0.02) - 0.035), size))
    for skirt in range(3):
        tip, foot = -height * (0.55 + 0.225 * skirt), -height * (0.08 + 0.24 * skirt)
        half = height * (0.3 - 0.07 * skirt)
        slope = (np.abs(x) - half * (y - np.float32(tip)) / (foot - tip)) * 0.85
        cone = np.maximum(slope, y - np.float32(foot)).astype(np.float32)
        paint(picture, colour(wood), edge(cone, size))
        rim = np.maximum(cone, -(slope + 0.016 + 0.01 * (y - np.float32(tip)) / height)).astype(np.float32)
        paint(picture, colour((238, 244, 252)), 0.8 * edge(rim, size))
