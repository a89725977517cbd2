"""Tells from a clip's pixels alone which things it shows, how they move, and in front of what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.judging.backgrounds import find_background
from training.judging.paths import find_motion
from training.judging.shapes import Outline, find_outline
from training.judging.tracks import Track, find_tracks
from training.world.objects import PAIR_RADII, RADII, RELATIONS


@dataclass(frozen=True)
class SeenThing:
    """A thing as it was seen; None for what is like nothing known."""

    shape: str | None
    colour: str
    size: str
    motion: str | None
    speed: str | None


@dataclass(frozen=True)
class Verdict:
    """What the judge saw: the number of pieces in most frames, the things that are there most of the time,
    what relation the first of two has to the second, and what is behind them.
    """

    count: int
    things: tuple[SeenThing, ...]
    relation: str | None
    background: str | None


@dataclass(frozen=True)
class Sight:
    """A verdict, with what it was found by."""

    verdict: Verdict
    tracks: list[Track]
    outlines: list[Outline]


def judge(clip: NDArray[np.uint8]) -> Verdict:
    """Judge a clip uint8[T, S, S, 3] by its pixels."""
    return look(clip).verdict


def look(clip: NDArray[np.uint8]) -> Sight:
    """Judge a clip uint8[T, S, S, 3], and keep where the things were seen."""
    name, behind = find_background(clip)
    tracks, count = find_tracks(clip, behind)
    outlines = [find_outline(track.coverage) for track in tracks]
    radii = RADII if len(tracks) == 1 else PAIR_RADII
    things = tuple(_thing(track, outline, radii) for track, outline in zip(tracks, outlines, strict=True))
    relation = _relation(outlines[0], outlines[1]) if len(things) == 2 else None
    return Sight(Verdict(count, things, relation, name), tracks, outlines)


def _thing(track: Track, outline: Outline, radii: dict[str, float]) -> SeenThing:
    motion, speed = find_motion(outline.centre, outline.radius, outline.turns)
    radius = np.exp(np.nanmean(np.log(outline.radius)))
    size = min(radii, key=lambda name: float(abs(radii[name] - radius)))
    return SeenThing(outline.shape, track.colour, size, motion, speed)


def _relation(first: Outline, second: Outline) -> str | None:
    """Which of RELATIONS holds in most frames, and by a clear angle."""
    way = second.centre - first.centre
    best = max(RELATIONS, key=lambda name: float(np.nanmean(way @ RELATIONS[name])))
    along = way @ RELATIONS[best]
    across = np.abs(way @ RELATIONS[best][::-1])
    return best if np.nanmean(along > across) > 0.75 else None
