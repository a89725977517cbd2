"""Adds marks up and prints them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.judging.agreement import ROWS, agreement
from training.judging.consistency import Consistency, consistency
from training.judging.objects import Verdict, look
from training.judging.scenes import SceneNet
from training.world.clip import Clip, Objects

Marks = dict[str, bool]

BATCH = 50


@dataclass(frozen=True)
class Case:
    """What a clip should show, and the caption that asks for it."""

    clip: Clip
    caption: str

    @property
    def kind(self) -> int:
        """The number of things, 0 for a scenery."""
        return len(self.clip.things) if isinstance(self.clip, Objects) else 0


@dataclass(frozen=True)
class Seen:
    """All that a clip's pixels told."""

    verdict: Verdict
    scene: str
    consistency: Consistency


@dataclass(frozen=True)
class Score:
    """The share of marks that are right, and how many were given; the share is None where none were."""

    share: float | None
    count: int


def look_at(clips: list[NDArray[np.uint8]], net: SceneNet) -> list[Seen]:
    """Judge clips uint8[T, S, S, 3]."""
    scenes: list[str] = []
    for start in range(0, len(clips), BATCH):
        scenes += net.name(clips[start : start + BATCH])
    sights = [look(clip) for clip in clips]
    return [
        Seen(sight.verdict, scene, consistency(clip, sight))
        for clip, scene, sight in zip(clips, scenes, sights, strict=True)
    ]


def mark(cases: list[Case], seen: list[Seen]) -> list[Marks]:
    """Compare what was asked for with what was seen."""
    return [
        agreement(case.clip, case.caption, each.verdict, each.scene)
        for case, each in zip(cases, seen, strict=True)
    ]


def shuffled(cases: list[Case]) -> list[int]:
    """For each case the place of another one of its kind: what an unheard prompt would be marked by."""
    places = list(range(len(cases)))
    for kind in {case.kind for case in cases}:
        alike = [place for place, case in enumerate(cases) if case.kind == kind]
        for place, other in zip(alike, alike[1:] + alike[:1], strict=True):
            places[place] = other
    return places


def add_up(marks: list[Marks]) -> dict[str, Score]:
    """The score of each of ROWS."""
    scores = {}
    for row in ROWS:
        given = [each[row] for each in marks if row in each]
        scores[row] = Score(sum(given) / len(given) if given else None, len(given))
    return scores


def steadiness(cases: list[Case], seen: list[Seen]) -> Consistency:
    """The median of each measure over the clips that should show things."""
    values = [
        (each.consistency.flicker, each.consistency.colour, each.consistency.area)
        for case, each in zip(cases, seen, strict=True)
        if case.kind
    ]
    known = [[value for value in column if value == value] for column in zip(*values, strict=True)]
    return Consistency(*(float(np.median(column)) if column else float("nan") for column in known))


def print_scores(columns: dict[str, dict[str, Score]]) -> None:
    """Print scores as a Markdown table, one column for each kind of clip."""
    _print_row("held-out prompts, judged by pixels", [*columns, "prompts"])
    _print_row("---", ["---"] * (len(columns) + 1))
    for row, title in ROWS.items():
        scores = [column[row] for column in columns.values()]
        shares = ["–" if score.share is None else f"{score.share:.1%}" for score in scores]
        _print_row(title, [*shares, str(scores[-1].count)])


def print_steadiness(columns: dict[str, Consistency]) -> None:
    """Print how steady clips are as a Markdown table."""
    rows = {
        "flicker of the background, levels of 255 from frame to frame": "flicker",
        "colour of a thing over time, levels from its mean": "colour",
        "area of a thing over time, % from an even growth": "area",
    }
    _print_row("median over clips of things", list(columns))
    _print_row("---", ["---"] * len(columns))
    for title, name in rows.items():
        scale = 100 if name == "area" else 1
        _print_row(title, [f"{scale * getattr(column, name):.2f}" for column in columns.values()])


def _print_row(title: str, cells: list[str]) -> None:
    print(f"| {title} | {' | '.join(cells)} |")
