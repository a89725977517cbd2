"""Draws clips of one coloured shape moving over a plain background; see some: python -m training.drawing"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 64
"""Width and height of a clip in pixels."""
NUM_FRAMES = 8
FPS = 8
STEP = 4
"""Pixels that the object moves from one frame to the next."""
POSITIONS = tuple(range(12, 53, STEP))
"""Where the object's centre can be, in pixels from the left and from the top.

All clips live on this grid, so that the few thousand different pictures they are made of can be encoded once.
"""
COLOURS = {
    "red": (225, 35, 40),
    "orange": (250, 140, 20),
    "yellow": (250, 225, 50),
    "green": (50, 190, 70),
    "blue": (50, 100, 240),
    "purple": (150, 55, 205),
    "pink": (250, 140, 195),
    "white": (250, 250, 250),
}
BACKGROUNDS = {
    "black": (12, 12, 14),
    "white": (244, 244, 244),
    "grey": (125, 125, 125),
    "blue": (20, 35, 110),
    "green": (15, 85, 40),
}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
RADII = {"small": 9, "medium": 11, "large": 13}


def _regular(corners: int, start: float) -> NDArray[np.float64]:
    angles = np.radians(start) + 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star() -> NDArray[np.float64]:
    points = np.empty((10, 2))
    points[0::2] = 1.2 * _regular(5, -90)
    points[1::2] = 0.5 * _regular(5, -54)
    return points


POLYGONS = {"square": 1.2 * _regular(4, 45), "triangle": 1.25 * _regular(3, -90), "star": _star()}
"""Corners at radius 1, x to the right and y down: float64[corners, 2]."""
SHAPES = ("circle", *POLYGONS)


@dataclass(frozen=True)
class Scene:
    """What one clip shows; x and y are the object's centre in its first frame, in pixels."""

    shape: str
    colour: str
    background: str
    direction: str
    size: str
    x: int
    y: int

    def centre(self, frame: int) -> tuple[int, int]:
        """The object's centre in a frame, in pixels."""
        dx, dy = DIRECTIONS[self.direction]
        return self.x + STEP * frame * dx, self.y + STEP * frame * dy


@cache
def coverage(shape: str, radius: int, x: int, y: int) -> NDArray[np.float32]:
    """How much of each pixel a shape covers: float32[SIZE, SIZE] from 0 to 1.

    One minus the distance to the outline, which is negative inside, gives edges one pixel soft.
    """
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    points = np.stack([columns + 0.5 - x, rows + 0.5 - y], axis=-1)
    if shape == "circle":
        distance = np.hypot(points[..., 0], points[..., 1]) - radius
    else:
        distance = _distance_to_polygon(points, radius * POLYGONS[shape])
    covered: NDArray[np.float32] = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    return covered


def _distance_to_polygon(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distance, negative inside (even-odd rule): float64[...] for points[..., 2]."""
    distance = np.full(points.shape[:-1], np.inf)
    inside = np.zeros(points.shape[:-1], dtype=bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, offset = end - start, points - start
        along = np.clip(offset @ edge / (edge @ edge), 0, 1)
        distance = np.minimum(distance, np.linalg.norm(offset - along[..., None] * edge, axis=-1))
        if start[1] != end[1]:
            crosses = (start[1] > points[..., 1]) != (end[1] > points[..., 1])
            inside ^= crosses & (offset[..., 0] < edge[0] * offset[..., 1] / edge[1])
    return np.where(inside, -distance, distance)


def draw_frame(shape: str, colour: str, background: str, size: str, x: int, y: int) -> NDArray[np.uint8]:
    """One picture: uint8[SIZE, SIZE, 3], RGB."""
    mask = coverage(shape, RADII[size], x, y)[..., None]
    inside, outside = np.array([COLOURS[colour], BACKGROUNDS[background]], dtype=np.float32)
    picture: NDArray[np.uint8] = np.rint(mask * inside + (1 - mask) * outside).astype(np.uint8)
    return picture


def draw_clip(scene: Scene) -> NDArray[np.uint8]:
    """One clip: uint8[NUM_FRAMES, SIZE, SIZE, 3], RGB."""
    look = (scene.shape, scene.colour, scene.background, scene.size)
    return np.stack([draw_frame(*look, *scene.centre(frame)) for frame in range(NUM_FRAMES)])


@cache
def palettes() -> tuple[tuple[str, str], ...]:
    """All (object colour, background) pairs; an object never has its background's colour."""
    return tuple(
        (colour, background) for colour, background in product(COLOURS, BACKGROUNDS) if colour != background
    )


def every_frame() -> Iterator[tuple[str, str, str, str, int, int]]:
    """The arguments of draw_frame for each picture that occurs in any clip."""
    for shape, (colour, background), size in product(SHAPES, palettes(), RADII):
        for x, y in product(POSITIONS, POSITIONS):
            yield shape, colour, background, size, x, y


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene whose object stays on the grid of POSITIONS for all of its clip."""
    direction = str(rng.choice(list(DIRECTIONS)))
    colour, background = palettes()[rng.integers(len(palettes()))]
    x, y = (_start(rng, along) for along in DIRECTIONS[direction])
    return Scene(
        shape=str(rng.choice(SHAPES)),
        colour=colour,
        background=background,
        direction=direction,
        size=str(rng.choice(list(RADII))),
        x=x,
        y=y,
    )


def _start(rng: np.random.Generator, along: int) -> int:
    travel = NUM_FRAMES - 1
    starts = {0: POSITIONS, 1: POSITIONS[:-travel], -1: POSITIONS[travel:]}[along]
    return int(rng.choice(starts))


def main() -> None:
    """Save sixteen drawn clips, one a row, as runs/drawing.png."""
    from PIL import Image

    rng = np.random.default_rng(0)
    rows = [np.concatenate(list(draw_clip(random_scene(rng))), axis=1) for _ in range(16)]
    Path("runs").mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save("runs/drawing.png")


if __name__ == "__main__":
    main()
