"""A futuristic city at night: lit towers in rows, flying vehicles that pass between them."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import (
    Floats,
    axes,
    colour,
    edge,
    finish,
    gradient,
    paint,
    pan,
    spots,
    step,
)
from training.world.scenery.towers import NEON, towers

NIGHTS = (
    ((14, 10, 44), (92, 40, 128), (255, 110, 150)),
    ((6, 18, 46), (20, 86, 130), (120, 230, 230)),
    ((26, 10, 40), (150, 50, 90), (255, 176, 96)),
    ((10, 14, 40), (60, 56, 150), (170, 140, 255)),
)
"""Colours of the sky (top, horizon) and of the haze between the towers."""
ROWS = ((0.0, 2, 2), (0.5, 1, 2), (1.0, 1, 1))
"""Each row of towers: how near it is, how many lanes of vehicles pass in front, how many vehicles in each."""


def city(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the light of the night, the moon, the towers, and the vehicles."""
    time, y, x = axes(size, num_frames)
    top, low, haze = (np.array(rgb, np.float32) for rgb in NIGHTS[rng.integers(len(NIGHTS))])
    sky = gradient(y, [(0.0, top), (0.75, low), (1.0, haze * 0.7)]) * np.ones_like(x)
    star_x, star_y, light = rng.random((3, 45)).astype(np.float32)
    width = np.full(45, 0.006)
    sky += spots(size, star_x[None], 0.6 * star_y[None], 0.7 * light[None], width, width)
    _moon(sky, rng, haze, y, x)
    picture = np.repeat(sky, num_frames, axis=1)

    side = rng.choice((-1, 1))
    for near, lanes, vehicles in ROWS:
        travel = np.float32(0.02 + 0.045 * near) * time * size
        shift = travel if side > 0 else travel.max() - travel
        wide = size + int(np.ceil(float(travel.max()))) + 2
        wall = (low * 0.5 + haze * 0.14) * (1 - near) + top * 0.42 * near
        layer = pan(towers(rng, size, wide, near, wall), shift, size)
        paint(picture, layer[:3], layer[3])
        paint(picture, colour(haze), np.float32(0.26 - 0.16 * near) * step(0.45, 1.0, y))
        for _ in range(lanes):
            _lane(picture, rng, near, vehicles)
    return finish(picture)


def _moon(sky: Floats, rng: np.random.Generator, haze: Floats, y: Floats, x: Floats) -> None:
    """A large moon, half in shade."""
    at_x, at_y, radius = rng.uniform((0.15, 0.14, 0.09), (0.85, 0.24, 0.15)).astype(np.float32)
    away = np.hypot(x - at_x, y - at_y)
    shade = np.hypot(x - (at_x + 0.5 * radius), y - (at_y - 0.2 * radius))
    dark = colour(haze * 0.5)
    lit = dark + step(1.3 * radius, 0.5 * radius, shade) * (colour((255, 246, 236)) - dark)
    paint(sky, colour(haze), 0.5 * np.exp(-np.maximum(away - radius, 0) / 0.07))
    paint(sky, lit, edge(away - radius, sky.shape[-1]))


def _lane(picture: Floats, rng: np.random.Generator, near: float, vehicles: int) -> None:
    """Vehicles one behind the other, on one way, at one speed."""
    side, speed = rng.choice((-1, 1)), rng.uniform(0.3, 0.5) * (0.55 + 0.45 * near)
    lane, start = rng.uniform(0.2 + 0.1 * near, 0.6 - 0.1 * near), rng.random()
    neon = colour(NEON[rng.integers(len(NEON))])
    for vehicle in range(vehicles):
        offset = start + vehicle / vehicles + rng.uniform(-0.08, 0.08)
        height = lane + rng.uniform(-0.03, 0.03)
        _vehicle(picture, side, speed, offset, height, 0.04 + 0.055 * near, neon)


def _vehicle(
    picture: Floats, side: int, speed: float, offset: float, height: float, long: float, neon: Floats
) -> None:
    """A streamlined hull with a cabin, a light in front and a glowing trail; long is half its length."""
    size = picture.shape[-1]
    high, low = (int(np.clip(edge_at * size, 0, size)) for edge_at in (height - long, height + long))
    time, rows, columns = axes(size, picture.shape[1])
    place = (np.float32(offset) + np.float32(speed) * time) % 1.5 - 0.25
    ahead = (columns - (place if side > 0 else 1 - place)) * np.float32(side / long)
    bob = 0.12 * np.sin(2 * np.pi * (0.7 * time + np.float32(offset)))
    down = (rows[:, high:low] - np.float32(height)) / np.float32(long) - bob.astype(np.float32)
    window, pixels = picture[:, :, high:low], int(size * long)
    trail = np.exp(-np.square(down / 0.17)) * step(-3.4, -0.7, ahead) * step(0.0, -0.6, ahead)
    paint(window, neon, np.float32(0.9) * trail)
    paint(window, neon, 0.8 * np.exp(-np.square(ahead / 0.8) - np.square((down - 0.32) / 0.14)))
    hull = (np.hypot(ahead, down / np.where(down < 0, 0.24, 0.3)) - 1) * 0.27
    shade = colour((208, 214, 232)) * (0.75 - 1.3 * down)
    paint(window, shade, edge(hull.astype(np.float32), pixels))
    cabin = (np.hypot((ahead - 0.12) / 0.42, (down + 0.2) / 0.22) - 1) * 0.24
    paint(window, 0.25 * neon + colour((24, 30, 60)), edge(cabin.astype(np.float32), pixels))
    paint(window, colour((255, 250, 220)), np.exp(-np.square((ahead - 1) / 0.3) - np.square(down / 0.2)))
