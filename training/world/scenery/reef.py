"""A coral reef under water: rays of light, corals and weeds that sway, fish that swim past, bubbles."""

import numpy as np
from numpy.typing import NDArray

from training.world.scenery.canvas import axes, colour, edge, finish, gradient, hills, noise, paint, step
from training.world.scenery.sealife import brain, bubbles, coral, fish, weed

WATERS = (
    ((120, 226, 236), (24, 128, 190), (6, 52, 112)),
    ((110, 214, 200), (16, 120, 150), (4, 50, 84)),
    ((140, 210, 250), (40, 104, 200), (14, 38, 116)),
)
"""Colours of the water from the surface down."""


def reef(rng: np.random.Generator, size: int, num_frames: int) -> NDArray[np.uint8]:
    """Varied by the water, the corals and weeds, the fish and where they swim, and the bubbles."""
    time, y, x = axes(size, num_frames)
    surface, middle, deep = (np.array(rgb, np.float32) for rgb in WATERS[rng.integers(len(WATERS))])
    picture = gradient(y, [(0.0, surface), (0.4, middle), (1.0, deep)]) * np.ones_like(x) * np.ones_like(time)
    fan = (x - np.float32(rng.uniform(0.2, 0.8))) / (0.6 + y)
    rays = np.sin(fan * 17 + 1.6 * time) + np.sin(fan * 29 - 2.3 * time + 2)
    paint(picture, colour((226, 252, 255)), 0.24 * step(0.1, 1.7, rays) * step(0.85, 0.0, y))
    for depth in (0, 1):
        skyline = np.float32(0.7 + 0.1 * depth) - 0.24 * hills(rng, x, 1.3, roughness=0.4)
        paint(
            picture, colour(deep * (1 - 0.3 * depth) + middle * 0.22 * (1 - depth)), edge(skyline - y, size)
        )

    for number in range(int(rng.integers(2, 4))):
        fish(picture, rng, 0.14 + 0.17 * number + rng.uniform(0, 0.08), rng.uniform(0.05, 0.065))
    for _ in range(3):
        coral(picture, rng, rng.uniform(0.05, 0.95), 0.86, 0.16)
    paint(picture, colour(middle), 0.35 * step(0.5, 0.8, y))

    sand = 0.88 + 0.02 * np.sin(2 * np.pi * (1.3 * x + np.float32(rng.random())))
    ripple = noise(rng, x * 14 + 0.8 * time, y * 34, octaves=1)
    floor = gradient(np.clip((y - sand) / 0.12, 0, 1), [(0.0, (222, 208, 168)), (1.0, (150, 146, 126))])
    paint(picture, floor * (0.88 + 0.24 * ripple), edge(sand - y, size))
    places = rng.permutation(np.linspace(0.05, 0.95, 8)) + rng.uniform(-0.04, 0.04, 8)
    for place in places[:2]:
        weed(picture, rng, place, 0.93)
    for place in places[2:6]:
        coral(picture, rng, place, 0.94, rng.uniform(0.18, 0.27))
    for place in places[6:]:
        brain(picture, rng, place, 0.93)
    fish(picture, rng, rng.uniform(0.42, 0.64), 0.085)
    bubbles(picture, rng)
    return finish(picture)
