"""The plants and animals of the coral reef, each painted into a picture that moves."""

import numpy as np

from training.world.scenery.canvas import Floats, axes, colour, edge, paint, step

CORALS = (
    (255, 104, 124), (255, 150, 60), (190, 96, 226), (255, 208, 84), (240, 84, 164), (128, 222, 160)
)  # fmt: skip
FISH = (
    ((255, 136, 28), (255, 250, 240)),
    ((255, 222, 60), (40, 60, 120)),
    ((80, 120, 255), (250, 230, 90)),
    ((255, 84, 110), (255, 222, 204)),
    ((250, 250, 250), (40, 40, 60)),
)
"""Colours of fish and of their stripes."""


def coral(picture: Floats, rng: np.random.Generator, x: float, y: float, height: float) -> None:
    """A coral that branches upwards from (x, y) and sways."""
    size = picture.shape[-1]
    left, right = (int(np.clip(side * size, 0, size)) for side in (x - height, x + height))
    high, low = (int(np.clip(side * size, 0, size)) for side in (y - 1.4 * height, y + 0.03))
    time, rows, columns = axes(size, picture.shape[1])
    up = (np.float32(y) - rows[:, high:low]) / np.float32(height)
    sway = 0.07 * np.sin(2 * np.pi * (0.55 * time + np.float32(rng.random()))) * np.maximum(up, 0) ** 1.5
    across = (columns[:, :, left:right] - np.float32(x)) / np.float32(height) - sway
    distance = np.full(across.shape, 9, np.float32)
    shoots = [(0.0, 0.0, float(rng.uniform(-0.15, 0.15)), 0.42, 0.085)]
    for generation in range(3):
        grown = []
        for root_x, root_up, lean, length, thick in shoots:
            run_x, run_up = length * np.sin(lean), length * np.cos(lean)
            distance = np.minimum(
                distance, _shoot(across - np.float32(root_x), up - np.float32(root_up), run_x, run_up, thick)
            )
            for fork in (-1, 1) if generation else (-1, 0, 1):
                turn = lean + fork * rng.uniform(0.4, 0.65) + rng.uniform(-0.1, 0.1)
                grown.append(
                    (root_x + run_x, root_up + run_up, turn, length * rng.uniform(0.6, 0.8), thick * 0.74)
                )
        shoots = grown
    window, tint = picture[:, :, high:low, left:right], colour(CORALS[rng.integers(len(CORALS))])
    paint(window, tint * 0.6, edge(distance * np.float32(height), size))
    paint(window, tint, edge((distance + 0.03) * np.float32(height), size))


def _shoot(x: Floats, up: Floats, run_x: float, run_up: float, thick: float) -> Floats:
    """The distance to a round-ended line from the origin, thinner towards its end."""
    share = np.clip(
        (x * np.float32(run_x) + up * np.float32(run_up)) / np.float32(run_x**2 + run_up**2), 0, 1
    )
    away = np.hypot(x - share * np.float32(run_x), up - share * np.float32(run_up))
    distance: Floats = away - np.float32(thick) * (1 - np.float32(0.3) * share)
    return distance


def brain(picture: Floats, rng: np.random.Generator, x: float, y: float) -> None:
    """A round coral with furrows, half of it in the sand."""
    size = picture.shape[-1]
    _, rows, columns = axes(size, 1)
    radius = np.float32(rng.uniform(0.07, 0.11))
    across, down = (columns - np.float32(x)) / radius, (rows - np.float32(y)) / (0.85 * radius)
    away = np.hypot(across, down)
    body = np.maximum(away - 1, down - 0.4) * radius
    furrows = np.sin(9 * across + 2.5 * np.sin(5 * down + 6 * np.float32(rng.random())))
    light = 0.78 - 0.3 * across * 0.5 - 0.34 * down + 0.14 * furrows
    tint = colour(CORALS[rng.integers(len(CORALS))])
    paint(picture, tint * np.clip(light, 0.3, 1.15), edge(body, size))


def weed(picture: Floats, rng: np.random.Generator, x: float, y: float) -> None:
    """A tuft of three long leaves that wave."""
    size = picture.shape[-1]
    time, rows, columns = axes(size, picture.shape[1])
    for leaf in (-1, 0, 1):
        height = rng.uniform(0.2, 0.34)
        up = (np.float32(y) - rows) / np.float32(height)
        wave = np.sin(2 * np.pi * (0.6 * time - 0.7 * up + np.float32(rng.random())))
        stem = x + 0.018 * leaf + np.maximum(up, 0) * (0.035 * leaf + 0.03 * wave)
        width = 0.013 * np.sqrt(np.clip(1 - up, 0, 1))
        distance = np.maximum(
            np.abs(columns - stem.astype(np.float32)) - width, np.maximum(-up, up - 1) * height
        )
        green = colour((54, 170, 96)) * (0.75 + 0.12 * leaf) + 0.12 * np.clip(up, 0, 1)
        paint(picture, green, edge(distance.astype(np.float32), size))


def fish(picture: Floats, rng: np.random.Generator, y: float, long: float) -> None:
    """A fish that swims across at a height, its tail beating; long is half its body."""
    size = picture.shape[-1]
    high, low = (
        int(np.clip(side * size, 0, size)) for side in (y - 0.9 * long - 0.02, y + 0.9 * long + 0.02)
    )
    time, rows, columns = axes(size, picture.shape[1])
    side, speed = rng.choice((-1, 1)), rng.uniform(0.22, 0.36)
    middle = 0.5 + side * (speed * (time - 0.94) + rng.uniform(-0.28, 0.28))
    height = y + 0.012 * np.sin(2 * np.pi * (0.8 * time + rng.random()))
    ahead = ((columns - middle) * side / long).astype(np.float32)
    down = ((rows[:, high:low] - height) / long).astype(np.float32)
    beat = 0.16 * np.sin(2 * np.pi * (2.2 * time + np.float32(rng.random()))) * np.maximum(-ahead, 0)
    down = down - beat
    body = (np.hypot(ahead, down / 0.52) - 1) * 0.52
    tail = np.maximum(np.abs(down) - 0.6 * (-0.72 - ahead), np.maximum(-1.5 - ahead, ahead + 0.7))
    fin = np.maximum(np.abs(ahead + 0.1 + 0.5 * (-down - 0.4)) - 0.35, np.maximum(-0.75 - down, down + 0.3))
    skin, stripe = (colour(rgb) for rgb in FISH[rng.integers(len(FISH))])
    window, pixels = picture[:, :, high:low], int(size * long)
    paint(window, skin * 0.78, edge(np.minimum(tail, fin).astype(np.float32), pixels))
    paint(window, skin * (1.02 - 0.35 * np.clip(down / 0.5, -0.2, 1)), edge(body, pixels))
    bands = np.minimum(np.abs(ahead - 0.32), np.abs(ahead + 0.32)) - 0.11
    paint(window, stripe, edge(np.maximum(bands, body + 0.02), pixels))
    paint(window, colour((16, 16, 24)), edge(np.hypot(ahead - 0.66, down + 0.1) - 0.12, pixels))


def bubbles(picture: Floats, rng: np.random.Generator) -> None:
    """Two columns of bubbles that rise and wobble."""
    size = picture.shape[-1]
    time, rows, columns = axes(size, picture.shape[1])
    for _ in range(2):
        source = rng.uniform(0.1, 0.9)
        for bubble in range(4):
            radius = rng.uniform(0.009, 0.018)
            risen = (0.3 * time + bubble / 4 + np.float32(rng.uniform(0, 0.1))) % 1
            at_x = source + 0.018 * np.sin(2 * np.pi * (1.5 * risen + rng.random()))
            away = np.hypot(columns - at_x.astype(np.float32), rows - (0.92 - 0.95 * risen))
            ring = step(radius * 1.5, radius, away) * (0.25 + 0.6 * step(0.4 * radius, radius, away))
            paint(picture, colour((232, 250, 255)), 0.8 * ring)
