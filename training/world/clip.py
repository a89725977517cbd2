"""One clip of the world, how it is drawn, and which clips are kept for testing."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.world.backgrounds import BACKGROUNDS, default_background, is_allowed
from training.world.motions import DIRECTIONS, MOTIONS, SPEEDS, WITHOUT_SPEED, speeds_of
from training.world.objects import RADII, RELATIONS, Objects, Thing, draw_objects, fits
from training.world.palette import COLOURS
from training.world.scenery import SCENERIES
from training.world.shapes import SHAPES

__all__ = [
    "ATTRIBUTES",
    "Clip",
    "Drawing",
    "Objects",
    "Scenery",
    "Thing",
    "draw",
    "is_held_out",
    "labels",
    "random_clip",
]

SIZE = 64
NUM_FRAMES = 16
FPS = 8
KINDS = ("one thing", "two things", "scenery")
SHARES = (0.6, 0.2, 0.2)
"""How many random clips are of each kind."""
FIRST_HELD_OUT_SEED = 2**30
"""Sceneries from this seed on are never trained on."""
MAX_SEED = 2**31
HELD_OUT_ONE_IN = 10


@dataclass(frozen=True)
class Scenery:
    """A picture without things: its name in SCENERIES; the seed decides the rest."""

    name: str
    seed: int


Clip = Objects | Scenery

_NONE = ("none",)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "shape": (*_NONE, *SHAPES),
    "colour": (*_NONE, *COLOURS),
    "size": (*_NONE, *RADII),
    "shape2": (*_NONE, *SHAPES),
    "colour2": (*_NONE, *COLOURS),
    "size2": (*_NONE, *RADII),
    "relation": (*_NONE, *RELATIONS),
    "motion": (*_NONE, *MOTIONS),
    "speed": (*_NONE, *SPEEDS),
    "background": (*_NONE, *BACKGROUNDS),
    "scene": (*_NONE, *SCENERIES),
}
"""The values of every attribute that ``labels`` names."""


@dataclass(frozen=True)
class Drawing:
    """Frames uint8[T, S, S, 3], RGB, and where the things are, bool[T, S, S]; nowhere in a scenery."""

    frames: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def draw(clip: Clip, size: int = SIZE, num_frames: int = NUM_FRAMES) -> Drawing:
    """Draw a clip at any size; the same clip gives the same bytes."""
    if isinstance(clip, Objects):
        return Drawing(*draw_objects(clip, size, num_frames))
    frames = SCENERIES[clip.name](np.random.default_rng(clip.seed), size, num_frames)
    return Drawing(frames, np.zeros(frames.shape[:3], dtype=bool))


def random_clip(rng: np.random.Generator, held_out: bool = False, shares: tuple[float, ...] = SHARES) -> Clip:
    """A clip from the training part of the world, or from the part that is never trained on.

    Args:
        shares: How often a clip is of each of KINDS.
    """
    while True:
        kind = rng.choice(KINDS, p=shares)
        if kind == "scenery":
            low, high = (FIRST_HELD_OUT_SEED, MAX_SEED) if held_out else (0, FIRST_HELD_OUT_SEED)
            return Scenery(str(rng.choice(list(SCENERIES))), int(rng.integers(low, high)))
        for _ in range(1000):
            clip = _random_objects(rng, 1 if kind == "one thing" else 2)
            if clip is not None and is_held_out(clip) == held_out:
                return clip


def is_held_out(clip: Clip) -> bool:
    """Whether a clip belongs to the tenth of the world that is never trained on.

    By the colour, shape and motion of one thing; by the colours and shapes of two, in either order; by the
    seed of a scenery.
    """
    if isinstance(clip, Scenery):
        return clip.seed >= FIRST_HELD_OUT_SEED
    words = sorted(f"{thing.colour} {thing.shape}" for thing in clip.things)
    if len(clip.things) == 1:
        words.append(clip.motion)
    return zlib.crc32(", ".join(words).encode()) % HELD_OUT_ONE_IN == 0


def labels(clip: Clip) -> dict[str, str]:
    """Every attribute of a clip by name, "none" where it has none; the same keys for every clip."""
    names = ("shape", "colour", "size", "shape2", "colour2", "size2", "relation", "motion", "speed")
    found = dict.fromkeys(("kind", *names, "background", "scene"), "none")
    if isinstance(clip, Scenery):
        return found | {"kind": "scenery", "scene": clip.name}
    for thing, suffix in zip(clip.things, ("", "2"), strict=False):
        found |= {f"shape{suffix}": thing.shape, f"colour{suffix}": thing.colour, f"size{suffix}": thing.size}
    return found | {
        "kind": KINDS[len(clip.things) - 1],
        "relation": clip.relation or "none",
        "motion": clip.motion,
        "speed": "none" if clip.motion in WITHOUT_SPEED else clip.speed,
        "background": clip.background,
    }


def _random_objects(rng: np.random.Generator, count: int) -> Objects | None:
    """One or two things at random; None where they do not go together."""
    colours = tuple(str(colour) for colour in rng.choice(list(COLOURS), size=count, replace=False))
    things = tuple(
        Thing(str(rng.choice(list(SHAPES))), colour, str(rng.choice(list(RADII), p=(0.25, 0.5, 0.25))))
        for colour in colours
    )
    motion = str(rng.choice(MOTIONS if count == 1 else ("still", *DIRECTIONS)))
    if motion == "rotate" and things[0].shape in ("circle", "ring"):
        return None
    allowed = [name for name in BACKGROUNDS if all(is_allowed(colour, name) for colour in colours)]
    clip = Objects(
        things=things,
        relation=None if count == 1 else str(rng.choice(list(RELATIONS))),
        motion=motion,
        speed=str(rng.choice(speeds_of(motion))) if rng.random() < 0.7 else "normal",
        background=default_background(colours) if rng.random() < 0.2 else str(rng.choice(allowed)),
        seed=int(rng.integers(MAX_SEED)),
    )
    return clip if fits(clip) else None
