"""Fireworks in the night sky: rockets climb, burst into coloured stars and fade over a dark skyline."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import Floats, axes, colour, edge, finish, gradient, paint, spots

COLOURS = (
    (255, 84, 84),
    (255, 190, 70),
    (120, 255, 130),
    (90, 190, 255),
    (226, 110, 255),
    (255, 250, 220),
    (255, 120, 200),
)
NIGHTS = (((6, 8, 28), (34, 30, 74)), ((10, 6, 26), (60, 26, 70)), ((4, 12, 26), (18, 46, 78)))
BURSTS = 6
STARS = 30
CLIMB = 0.45
"""Seconds that a rocket climbs."""
TAIL = 4
"""Earlier places at which each star still glows."""


def fireworks(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the night, the houses, and the bursts: how many, when, where and in which colours."""
    time, y, x = axes(size, num_frames)
    top, low = NIGHTS[rng.integers(len(NIGHTS))]
    picture = np.repeat(gradient(y, [(0.0, top), (0.9, low)]), num_frames, axis=1) * np.ones_like(x)
    star_x, star_y, light = rng.random((3, 40)).astype(np.float32)
    twinkling = spots(
        size, star_x[None], star_y[None] * 0.8, light[None] * 0.6, np.full(40, 0.007), np.full(40, 0.007)
    )
    picture += twinkling

    glow = np.zeros((3, num_frames, 1, 1), np.float32)
    starts = np.linspace(-0.75, 1.1, BURSTS) + rng.uniform(-0.12, 0.12, BURSTS)
    places = rng.permutation(np.linspace(0.16, 0.84, BURSTS)) + rng.uniform(-0.06, 0.06, BURSTS)
    for start, place in zip(starts, places, strict=True):
        tint = colour(COLOURS[rng.integers(len(COLOURS))])
        height, spread = rng.uniform(0.18, 0.46), rng.uniform(0.2, 0.3)
        age = time[:, 0] - np.float32(start)
        picture += tint * _burst(rng, size, age - CLIMB, place, height, spread)
        picture += colour((255, 226, 170)) * _rocket(size, age, place, height)
        flash = np.where(age > CLIMB, np.exp(-(age - CLIMB) / 0.35), 0).astype(np.float32)
        glow += tint * flash[None, :, :, None]
    picture += 0.1 * glow * (1.1 - y)
    _houses(picture, rng, glow, y, x, size)
    return finish(picture)


def _burst(rng: np.random.Generator, size: int, age: Floats, x: float, y: float, spread: float) -> Floats:
    """Stars that fly apart, slowed by the air and drawn down, with a tail: light [T, S, S]."""
    angle = 2 * np.pi * (np.arange(STARS) + rng.random(STARS) * 0.6) / STARS
    reach = spread * np.sqrt(rng.uniform(0.06, 1.0, STARS))
    total = np.zeros((len(age), size, size), np.float32)
    for lag in range(TAIL):
        moment = np.maximum(age - 0.06 * lag, 0)
        flown = reach * (1 - np.exp(-3.2 * moment))
        at_x = (x + flown * np.cos(angle)).astype(np.float32)
        at_y = (y + flown * np.sin(angle) + 0.09 * moment**2).astype(np.float32)
        shine = np.where(age > 0, 1.5 * np.exp(-moment / 0.55) * 0.62**lag, 0)
        light = np.broadcast_to(shine, at_x.shape).astype(np.float32)
        width = np.full(STARS, 0.0125 - 0.0013 * lag)
        total += spots(size, at_x, at_y, light, width, width)
    middle = np.where(age > 0, 2 * np.exp(-age / 0.12), 0).astype(np.float32)
    return total + spots(
        size, np.full_like(age, x), np.full_like(age, y), middle, np.full(1, 0.05), np.full(1, 0.05)
    )


def _rocket(size: int, age: Floats, x: float, y: float) -> Floats:
    """A spark that climbs from the ground to where it bursts: light [T, S, S]."""
    climbed = np.clip(age / CLIMB, 0, 1)
    at_y = (1 - (1 - y) * (1 - (1 - climbed) ** 2)).astype(np.float32)
    light = ((age > 0) & (age < CLIMB)).astype(np.float32)
    return spots(size, np.full_like(at_y, x), at_y + 0.03, light, np.full(1, 0.009), np.full(1, 0.035))


def _houses(picture: Floats, rng: np.random.Generator, glow: Floats, y: Floats, x: Floats, size: int) -> None:
    """Dark houses along the lower edge, faintly lit by the bursts, some of their windows bright."""
    left = -0.05
    while left < 1:
        width, height = rng.uniform(0.08, 0.17), rng.uniform(0.06, 0.17)
        box = np.maximum(
            np.abs(x - np.float32(left + width / 2)) - np.float32(width / 2), 1 - np.float32(height) - y
        )
        paint(picture, colour((10, 10, 22)) + 0.05 * glow, edge(box, size))
        for _ in range(int(rng.integers(1, 4))):
            at_x, at_y = left + width * rng.uniform(0.25, 0.75), 1 - height * rng.uniform(0.2, 0.75)
            pane = np.maximum(np.abs(x - np.float32(at_x)) - 0.009, np.abs(y - np.float32(at_y)) - 0.012)
            paint(picture, colour((255, 206, 120)), 0.8 * edge(pane, size))
        left += width * rng.uniform(0.9, 1.1)
