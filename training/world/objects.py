"""Draws one or two things that move in front of a background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.world.backgrounds import background
from training.world.motions import Path, path
from training.world.palette import COLOURS
from training.world.shapes import REACH, SHAPES

Floats = NDArray[np.float32]

RADII = {"small": 0.13, "medium": 0.165, "large": 0.2}
"""Radius of a thing that is alone, in widths of the picture."""
PAIR_RADII = {"small": 0.1, "medium": 0.125, "large": 0.15}
"""Radius of a thing beside another."""
MARGIN = 0.008
"""What stays free between things and the picture's edge."""
GAP = 0.02
"""What stays free between the circles around two things."""
RELATIONS = {"above": (0, 1), "below": (0, -1), "left of": (1, 0), "right of": (-1, 0)}
"""Where the second thing lies as seen from the first, x to the right and y down."""


@dataclass(frozen=True)
class Thing:
    """One shape: its name in SHAPES, its colour in COLOURS, its size in RADII."""

    shape: str
    colour: str
    size: str


@dataclass(frozen=True)
class Objects:
    """One thing, or two of which the first is in a relation to the second; both then move alike."""

    things: tuple[Thing, ...]
    relation: str | None
    motion: str
    speed: str
    background: str
    seed: int


def fits(clip: Objects) -> bool:
    """Whether there is room enough for the things to stay inside the picture all the time."""
    return bool((_room(clip, path(clip.motion, clip.speed, 16))[1] >= 0).all())


@dataclass(frozen=True)
class Track:
    """Where a thing is, in widths of the picture: its centre float32[T, 2] (x, y), its radius float32[T]."""

    thing: Thing
    centre: Floats
    radius: Floats


def moves_of(clip: Objects, num_frames: int) -> Path:
    """How its things move."""
    return _chances(clip, num_frames)[0]


def tracks_of(clip: Objects, num_frames: int) -> list[Track]:
    """Where each thing is."""
    moves, _, rng = _chances(clip, num_frames)
    return [
        Track(thing, centre, _radius(clip, thing) * moves.scale)
        for thing, centre in zip(clip.things, _centres(clip, moves, rng), strict=True)
    ]


def draw_objects(clip: Objects, size: int, num_frames: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Frames uint8[T, size, size, 3] and where the things are, bool[T, size, size]."""
    moves, seed, rng = _chances(clip, num_frames)
    picture = background(clip.background, size, seed)
    frames = np.repeat(picture[None], num_frames, axis=0)
    mask = np.zeros(frames.shape[:3], dtype=bool)
    for thing, centre in zip(clip.things, _centres(clip, moves, rng), strict=True):
        _paint(frames, mask, thing, _radius(clip, thing), centre, moves)
    return frames, mask


def _chances(clip: Objects, num_frames: int) -> tuple[Path, int, np.random.Generator]:
    """What a clip's seed decides: how its things move, the background's seed, and more to draw from."""
    rng = np.random.default_rng(clip.seed)
    moves = path(clip.motion, clip.speed, num_frames, phase=float(rng.random()))
    return moves, int(rng.integers(2**31)), rng


def _radius(clip: Objects, thing: Thing) -> float:
    return (RADII if len(clip.things) == 1 else PAIR_RADII)[thing.size]


def _room(clip: Objects, moves: Path) -> tuple[Floats, Floats]:
    """The least anchor (x, y) and how far beyond it the anchor may lie.

    The anchor is where a lone thing starts, or the middle between the far sides of two.
    """
    reach = [REACH * _radius(clip, thing) * float(moves.scale.max()) for thing in clip.things]
    half = np.full(2, max(reach), np.float32)
    if clip.relation is not None:
        along = np.abs(RELATIONS[clip.relation])
        half = np.where(along == 1, sum(reach) + GAP / 2, half)
    low = MARGIN + half - moves.offset.min(axis=0)
    high = 1 - MARGIN - half - moves.offset.max(axis=0)
    return low, high - low


def _centres(clip: Objects, moves: Path, rng: np.random.Generator) -> list[Floats]:
    """Where each thing is: float32[T, 2] a thing."""
    low, room = _room(clip, moves)
    share = rng.random(2)
    if clip.motion == "bounce":
        share[1] = 1 - 0.3 * share[1]
    anchor = np.full(2, 0.5) if clip.motion == "orbit" else low + share * room
    if clip.relation is None:
        return [(anchor + moves.offset).astype(np.float32)]
    first, second = (REACH * _radius(clip, thing) for thing in clip.things)
    direction = np.array(RELATIONS[clip.relation], np.float32)
    middle = anchor + direction * (first - second)
    return [
        (middle - direction * (first + GAP / 2) + moves.offset).astype(np.float32),
        (middle + direction * (second + GAP / 2) + moves.offset).astype(np.float32),
    ]


def _paint(
    frames: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    thing: Thing,
    radius: float,
    centre: Floats,
    moves: Path,
) -> None:
    """Draw a thing into frames and mask, looking only at a window around it."""
    size = frames.shape[1]
    width = min(size, 2 * int(np.ceil(REACH * radius * moves.scale.max() * size)) + 4)
    corner = np.clip(np.rint(centre * size - width / 2).astype(int), 0, size - width)
    columns, rows = (corner[:, axis, None] + np.arange(width) for axis in (0, 1))
    x = ((columns + 0.5) / size - centre[:, :1]).astype(np.float32)[:, None, :]
    y = ((rows + 0.5) / size - centre[:, 1:]).astype(np.float32)[:, :, None]
    cos, sin = (f(moves.angle)[:, None, None].astype(np.float32) for f in (np.cos, np.sin))
    scaled = (radius * moves.scale)[:, None, None].astype(np.float32)
    distance = SHAPES[thing.shape]((cos * x + sin * y) / scaled, (cos * y - sin * x) / scaled)
    coverage = np.clip(0.5 - distance * scaled * size, 0, 1)
    at = (np.arange(len(frames))[:, None, None], rows[:, :, None], columns[:, None, :])
    behind = frames[at].astype(np.float32)
    painted = behind + coverage[..., None] * (np.array(COLOURS[thing.colour], np.float32) - behind)
    frames[at] = np.rint(painted).astype(np.uint8)
    mask[at] |= coverage > 0.5
