"""How things move: where they are, how far turned and how large, from the first frame to the last."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIRECTIONS = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
    "up-left": (-(0.5**0.5), -(0.5**0.5)),
    "up-right": (0.5**0.5, -(0.5**0.5)),
    "down-left": (-(0.5**0.5), 0.5**0.5),
    "down-right": (0.5**0.5, 0.5**0.5),
}
"""Unit vectors, x to the right and y down."""
MOTIONS = ("still", *DIRECTIONS, "rotate", "grow", "shrink", "bounce", "orbit")
SPEEDS = ("slow", "normal", "fast")
WITHOUT_SPEED = ("still", "grow", "shrink")
"""Motions whose speed is always normal."""
TRAVEL = {"slow": 0.17, "normal": 0.34, "fast": 0.5}
"""How far a thing moves along a direction over the clip, in widths of the picture."""
TURNS = {"slow": 0.25, "normal": 0.5, "fast": 1.0}
"""Full turns of a rotating thing, clockwise."""
HOPS = {"slow": 2, "normal": 3, "fast": 4}
HOP_HEIGHT = 0.36
ORBITS = {"slow": 0.5, "normal": 1.0, "fast": 1.5}
"""Rounds of an orbiting thing, clockwise."""
ORBIT_RADIUS = 0.24
GROWTH = 2.0
"""Ratio of a growing thing's last radius to its first."""


@dataclass(frozen=True)
class Path:
    """A motion over T frames: offset float32[T, 2] (x, y) in widths of the picture, angle[T] in radians
    (clockwise), scale[T] in radii of the thing.
    """

    offset: Floats
    angle: Floats
    scale: Floats


def speeds_of(motion: str) -> tuple[str, ...]:
    """The speeds that a motion can have."""
    return ("normal",) if motion in WITHOUT_SPEED else SPEEDS


def path(motion: str, speed: str, num_frames: int, phase: float = 0.0) -> Path:
    """The path of a motion; phase, from 0 to 1, is where on its circle an orbit begins."""
    progress: Floats = np.linspace(0, 1, num_frames).astype(np.float32)
    offset = np.zeros((num_frames, 2), np.float32)
    angle = np.zeros(num_frames, np.float32)
    scale = np.ones(num_frames, np.float32)
    if motion in DIRECTIONS:
        offset = np.outer(progress, TRAVEL[speed] * np.array(DIRECTIONS[motion], np.float32)).astype(
            np.float32
        )
    elif motion == "rotate":
        angle = np.float32(2 * np.pi * TURNS[speed]) * progress
    elif motion in ("grow", "shrink"):
        exponent = progress - 0.5 if motion == "grow" else 0.5 - progress
        scale = np.power(np.float32(GROWTH), exponent)
    elif motion == "bounce":
        hop = (HOPS[speed] * progress) % 1
        offset[:, 1] = -4 * HOP_HEIGHT * hop * (1 - hop)
    elif motion == "orbit":
        turn = 2 * np.pi * (ORBITS[speed] * progress + phase)
        offset = (ORBIT_RADIUS * np.stack([np.cos(turn), np.sin(turn)], axis=1)).astype(np.float32)
    return Path(offset, angle, scale)
