"""Marks follow what a caption asks for, whichever of two things was seen first."""

from dataclasses import replace

import pytest

from training.judging.agreement import agreement
from training.judging.objects import SeenThing, Verdict
from training.world.clip import Objects, Scenery, Thing

PAIR = Objects(
    things=(Thing("square", "blue", "medium"), Thing("star", "yellow", "medium")),
    relation="above",
    motion="left",
    speed="slow",
    background="black",
    seed=0,
)
SQUARE = SeenThing("square", "blue", "medium", "left", "slow")
STAR = SeenThing("star", "yellow", "medium", "left", "slow")


@pytest.mark.parametrize(
    ("things", "relation"), [((SQUARE, STAR), "above"), ((STAR, SQUARE), "below")], ids=["same", "swapped"]
)
def test_either_order_of_two_things_is_right(things: tuple[SeenThing, ...], relation: str) -> None:
    marks = agreement(PAIR, "a blue square above a yellow star", Verdict(2, things, relation, "black"), "")
    assert all(marks.values())
    assert {"pair", "relation", "pair motion", "all of two"} <= marks.keys()


def test_exchanged_shapes_are_wrong() -> None:
    things = (replace(SQUARE, shape="star"), replace(STAR, shape="square"))
    marks = agreement(PAIR, "", Verdict(2, things, "above", "black"), "")
    assert not marks["pair"]
    assert not marks["all of two"]


def test_the_opposite_relation_is_wrong() -> None:
    marks = agreement(PAIR, "", Verdict(2, (STAR, SQUARE), "above", "black"), "")
    assert not marks["relation"]


@pytest.mark.parametrize(
    ("caption", "marked"),
    [
        ("A big blue square gliding left slowly", {"size", "speed"}),
        ("a blue square getting larger, moving left", set()),
        ("a huge blue square moving left at a slow pace.", {"size", "speed"}),
    ],
)
def test_only_what_is_said_is_marked(caption: str, marked: set[str]) -> None:
    clip = replace(PAIR, things=(Thing("square", "blue", "large"),), relation=None)
    marks = agreement(clip, caption, Verdict(1, (SQUARE,), None, "black"), "")
    assert marks.keys() & {"size", "speed"} == marked
    assert marks["all of one"] == ("size" not in marked)


def test_nothing_seen_is_wrong() -> None:
    clip = replace(PAIR, things=PAIR.things[:1], relation=None)
    assert not any(agreement(clip, "", Verdict(0, (), None, None), "").values())


def test_a_scenery_is_marked_by_its_name() -> None:
    nothing = Verdict(0, (), None, None)
    assert agreement(Scenery("rain", 1), "", nothing, "rain") == {"scene": True}
    assert agreement(Scenery("rain", 1), "", nothing, "snow") == {"scene": False}
