"""The towers of the futuristic city."""

import numpy as np

from training.world.scenery.canvas import Floats

NEON = ((0, 240, 255), (255, 60, 180), (255, 196, 60), (130, 255, 140), (170, 110, 255))
"""Colours of what shines."""
WIDEST = 1.25
"""Towers are drawn up to so many widths of the picture, whatever its size, so that chance falls the same."""


def towers(rng: np.random.Generator, size: int, wide: int, near: float, wall: Floats) -> Floats:
    """One row of towers on size × wide pixels, near from 0 to 1: colour and coverage, float32[4, size, wide].

    Drawn at twice the size and averaged, since windows are about as small as pixels.
    """
    rows, columns = 2 * size, 2 * wide
    y = ((np.arange(rows) + 0.5) / rows).astype(np.float32)[:, None]
    x = ((np.arange(columns) + 0.5) / rows).astype(np.float32)[None, :]
    layer = np.zeros((4, rows, columns), np.float32)
    left = -0.06
    while left < WIDEST:
        width = rng.uniform(0.11, 0.17) * (0.85 + 0.55 * near)
        height = rng.uniform(0.34, 0.66) * (1 - 0.45 * near)
        first, last = (int(np.clip(side * rows, 0, columns)) for side in (left - 0.01, left + width + 0.01))
        _tower(
            layer[:, :, first:last], rng, wall / 255, y, x[:, first:last] - np.float32(left), width, height
        )
        left += width + rng.uniform(0.0, 0.07)
    averaged: Floats = layer.reshape(4, size, 2, wide, 2).mean(axis=(2, 4))
    return averaged


def _tower(
    layer: Floats, rng: np.random.Generator, wall: Floats, y: Floats, x: Floats, width: float, height: float
) -> None:
    """A tower with a flat, slanted, round or stepped top, a grid of windows, and perhaps a line of neon."""
    roof, middle = np.float32(1 - height), np.float32(width / 2)
    beside = np.abs(x - middle)
    kind = rng.integers(4)
    outline = (
        roof + 0 * x,
        roof + 0.6 * (x - middle),
        roof - 0.5 * np.sqrt(np.maximum(middle**2 - beside**2, 0)),
        np.where(beside < 0.28 * width, roof - 0.06, roof),
    )[kind]
    body = (beside < middle) & (y > outline)
    if kind != 1:
        body |= (beside < 0.005) & (y > roof - 0.12)
    across, down = x / np.float32(width / max(2, round(width / 0.04))), (y - roof) / np.float32(0.042)
    lit = rng.random((48, 48)) < rng.uniform(0.2, 0.5)
    pane = (np.abs(across % 1 - 0.5) < 0.28) & (np.abs(down % 1 - 0.5) < 0.25) & (y > outline + 0.025)
    pane &= lit[np.floor(down).astype(int) % 48, np.floor(across).astype(int) % 48]
    neon = np.array(NEON[rng.integers(len(NEON))], np.float32) / 255
    glow = np.array((1.0, 0.84, 0.52), np.float32) if rng.random() < 0.65 else 0.4 + 0.6 * neon
    line = (np.abs(y - outline) < 0.01) & (beside < middle) & (rng.random() < 0.45)
    light = 1.3 - np.float32(0.7 / width) * x
    for channel in range(3):
        look = np.where(pane, glow[channel] * 0.92, wall[channel] * light)
        look = np.where(line, neon[channel], look)
        np.copyto(layer[channel], look, where=body | line)
    np.copyto(layer[3], 1, where=body | line)
