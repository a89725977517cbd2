"""What things are drawn in front of: still pictures, the same in every frame."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from training.world.palette import COLOURS

Floats = NDArray[np.float32]

LAYOUTS = 4
"""How many pictures there are of a background that is drawn by chance."""
MIN_CONTRAST = 100.0
"""Distance in RGB that a thing keeps from every colour of its background."""
PLAIN = {
    "black": (10, 10, 12),
    "white": (244, 244, 244),
    "grey": (122, 122, 122),
    "blue": (24, 56, 156),
    "green": (20, 108, 52),
    "yellow": (248, 214, 100),
    "pink": (250, 188, 212),
}
GRADIENTS = {
    "blue gradient": ((14, 24, 84), (70, 150, 225)),
    "sunrise": ((52, 30, 92), (236, 120, 90), (252, 200, 120)),
}
"""Colours from the top to the bottom."""
PAINTED = ("night", "grass", "beach")
BACKGROUNDS = (*PLAIN, *GRADIENTS, *PAINTED)


@cache
def background(name: str, size: int, layout: int = 0) -> NDArray[np.uint8]:
    """One picture uint8[size, size, 3]; layout (modulo LAYOUTS) picks one of those drawn by chance."""
    rng = np.random.default_rng(layout % LAYOUTS)
    height = ((np.arange(size) + 0.5) / size).astype(np.float32)
    if name in PLAIN:
        picture = _gradient(height, (PLAIN[name], PLAIN[name]))
    elif name in GRADIENTS:
        picture = _gradient(height, GRADIENTS[name])
    elif name == "night":
        picture = _with_stars(_gradient(height, ((6, 8, 26), (22, 28, 66))), rng)
    else:
        picture = _horizon(name, height, rng)
    return np.rint(picture).astype(np.uint8)


def _gradient(height: Floats, stops: tuple[tuple[int, int, int], ...]) -> Floats:
    at = np.linspace(0, 1, len(stops))
    column = np.stack([np.interp(height, at, channel) for channel in zip(*stops, strict=True)], axis=-1)
    return np.repeat(column[:, None], len(height), axis=1).astype(np.float32)


def _with_stars(sky: Floats, rng: np.random.Generator) -> Floats:
    middle = (np.arange(len(sky)) + 0.5) / len(sky)
    for x, y, light in rng.uniform((0, 0, 60), (1, 1, 170), size=(30, 3)):
        spot = np.exp(-((middle[:, None] - y) ** 2 + (middle - x) ** 2) / 0.008**2)
        sky = sky + light * spot[..., None].astype(np.float32)
    return np.minimum(sky, np.float32(255))


def _horizon(name: str, height: Floats, rng: np.random.Generator) -> Floats:
    sky, ground = {
        "grass": (((96, 176, 240), (150, 206, 246)), ((70, 150, 52), (38, 104, 30))),
        "beach": (((70, 160, 235), (148, 206, 246)), ((236, 210, 150), (222, 184, 116))),
    }[name]
    across = height[None, :]
    line = 0.66 + 0.02 * np.sin(2 * np.pi * (across * rng.uniform(0.5, 1.2) + rng.uniform()))
    below = np.clip(0.5 + (height[:, None] - line) * len(height), 0, 1)[..., None]
    picture: Floats = (1 - below) * _gradient(height / 0.66, sky) + below * _gradient(
        (height - 0.66) / 0.34, ground
    )
    return picture


@cache
def is_allowed(colour: str, name: str) -> bool:
    """Whether a thing of that colour stands out everywhere in front of a background."""
    if colour == name:
        return False
    pixels = background(name, 32).reshape(-1, 3).astype(float)
    return bool((np.linalg.norm(pixels - COLOURS[colour], axis=1) >= MIN_CONTRAST).mean() > 0.99)


def default_background(colours: tuple[str, ...]) -> str:
    """What a caption means that names no background: black; white if black is not allowed, else grey."""
    return next(name for name in ("black", "white", "grey") if all(is_allowed(c, name) for c in colours))
