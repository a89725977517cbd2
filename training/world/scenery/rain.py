"""Rain over a lake: slanting drops from dark clouds, rings that spread where they fall."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import (
    Floats,
    axes,
    colour,
    edge,
    finish,
    gradient,
    hills,
    noise,
    paint,
    step,
)

MOODS = (
    ((52, 62, 78), (126, 142, 156), (44, 66, 78)),
    ((44, 52, 84), (112, 122, 164), (36, 50, 86)),
    ((60, 66, 66), (142, 150, 140), (50, 70, 64)),
)
"""Colours of the clouds, of the sky at the horizon, and of the hills."""
SHORE = 0.58
RINGS = 16


def rain(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the mood of the light, the hills, the wind, and how hard it rains."""
    time, y, x = axes(size, num_frames)
    cloud, low, land = (np.array(rgb, np.float32) for rgb in MOODS[rng.integers(len(MOODS))])
    picture = gradient(y, [(0.0, cloud), (SHORE, low), (SHORE + 0.01, low * 0.82), (1.0, cloud * 0.7)])
    picture = np.repeat(picture, num_frames, axis=1) * np.ones_like(x)
    puffs = noise(rng, (x + 0.07 * time) * 2.5, y * 6, octaves=3)
    paint(picture, colour(cloud * 0.7), 0.85 * step(0.4, 0.75, puffs) * step(0.42, 0.05, y))
    for depth, height in ((0.0, 0.2), (1.0, 0.12)):
        skyline = np.float32(SHORE) - height * hills(rng, x, 1.2 + depth, roughness=0.4)
        rock = land * (1 - 0.4 * depth) + low * 0.3 * (1 - depth)
        paint(picture, colour(rock), edge(np.maximum(skyline - y, y - SHORE), size))
        mirrored = edge(np.maximum(y - (2 * SHORE - skyline), SHORE - y), size)
        paint(picture, colour(rock), 0.5 * mirrored)

    lake = int(SHORE * size)
    _rings(picture[:, :, lake:], rng, time, y[:, lake:], x)
    slant, plenty = rng.choice((-1, 1)) * rng.uniform(0.06, 0.22), rng.uniform(0.7, 1.2)
    for near in (0.0, 0.5, 1.0):
        drops = _streaks(rng, time[:, 0], size, slant, near, int((70 - 30 * near) * plenty))
        paint(picture, colour((214, 226, 240)), (0.34 + 0.4 * near) * np.minimum(drops, 1))
    return finish(picture)


def _streaks(
    rng: np.random.Generator, time: Floats, size: int, slant: float, near: float, count: int
) -> Floats:
    """Drops as upright lines on a wider picture, whose rows are then shifted: [T, S, S]."""
    start_x, start_y = rng.random((2, count)).astype(np.float32)
    at_y = (start_y * 1.3 + np.float32(0.9 + 0.6 * near) * time) % 1.3 - 0.15
    at_x = np.broadcast_to(start_x * (1 + abs(slant)), at_y.shape)
    # A wider picture in the units of the narrow one: x shrinks, as spots spreads its pixels over 0 to 1.
    wide = int(np.ceil(size * (1 + abs(slant)))) + 1
    middle = ((np.arange(wide) + 0.5) / size).astype(np.float32)
    along_x = np.exp(-np.square((middle - at_x[..., None]) / np.float32(0.006 + 0.003 * near)))
    rows = ((np.arange(size) + 0.5) / size).astype(np.float32)
    along_y = np.exp(-(((rows - at_y[..., None]) / np.float32(0.045 + 0.035 * near)) ** 2))
    upright = np.matmul(along_y.transpose(0, 2, 1), along_x)
    shift = size * (slant * rows if slant > 0 else abs(slant) * (1 - rows))
    whole, part = np.floor(shift).astype(int), (shift % 1).astype(np.float32)[:, None]
    columns = np.arange(size)[None, :] + whole[:, None]
    left = np.take_along_axis(upright, columns[None], axis=2)
    right = np.take_along_axis(upright, np.minimum(columns + 1, wide - 1)[None], axis=2)
    sheared: Floats = (1 - part) * left + part * right
    return sheared


def _rings(picture: Floats, rng: np.random.Generator, time: Floats, y: Floats, x: Floats) -> None:
    """Flat ellipses that spread and fade, each again and again."""
    light = np.zeros(picture.shape[1:], np.float32)
    for _ in range(RINGS):
        at_x, at_y, phase = rng.uniform((0, SHORE + 0.04, 0), (1, 0.98, 1))
        near = (at_y - SHORE) / (1 - SHORE)
        age = (time * np.float32(1.1) + np.float32(phase)) % 1
        radius = (0.03 + 0.09 * near) * age + 0.008
        away = np.hypot(x - np.float32(at_x), (y - np.float32(at_y)) * 2.6)
        light += (1 - age) * np.exp(-np.square((away - radius) / np.float32(0.008 + 0.006 * near)))
    paint(picture, colour((222, 234, 244)), 0.6 * np.minimum(light, 1) * step(SHORE, SHORE + 0.02, y))
