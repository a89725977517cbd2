"""Says in what a verdict agrees with the prompt that the clip was made for."""

import re

from training.judging.objects import Verdict
from training.world.clip import Clip, Objects, Scenery
from training.world.motions import WITHOUT_SPEED
from training.world.objects import RELATIONS, Thing
from training.world.words import SIZE_WORDS, SPEED_WORDS

ROWS = {
    "colour": "object colour",
    "shape": "shape",
    "size": "size, where said",
    "motion": "motion direction",
    "speed": "speed, where said",
    "background": "background",
    "count": "number of objects",
    "pair": "two objects, both right",
    "relation": "their relation",
    "pair motion": "their motion",
    "scene": "scene recognised",
    "all of one": "all attributes of a one-object prompt at once",
    "all of two": "all attributes of a two-object prompt at once",
}
"""What is marked, and what it is called in a table."""


def agreement(clip: Clip, caption: str, verdict: Verdict, scene: str) -> dict[str, bool]:
    """For each of ROWS that a caption of a clip asks for, whether what was seen agrees with it.

    scene is the scenery that was recognised. A size or speed that the caption leaves out is not marked.
    """
    if isinstance(clip, Scenery):
        return {"scene": scene == clip.name}
    marks = {
        "background": verdict.background == clip.background,
        "count": verdict.count == len(verdict.things) == len(clip.things),
    }
    marks |= _of_one(clip, caption, verdict) if len(clip.things) == 1 else _of_two(clip, verdict)
    return marks | {"all of one" if len(clip.things) == 1 else "all of two": all(marks.values())}


def _of_one(clip: Objects, caption: str, verdict: Verdict) -> dict[str, bool]:
    """Marks for what is most to be seen."""
    thing = clip.things[0]
    seen = verdict.things[0] if verdict.things else None
    marks = {
        "colour": seen is not None and seen.colour == thing.colour,
        "shape": seen is not None and seen.shape == thing.shape,
        "motion": seen is not None and seen.motion == clip.motion,
    }
    if _is_said(SIZE_WORDS[thing.size], caption):
        marks["size"] = seen is not None and seen.size == thing.size
    if clip.motion not in WITHOUT_SPEED and _is_said(SPEED_WORDS[clip.speed], caption):
        marks["speed"] = seen is not None and seen.motion == clip.motion and seen.speed == clip.speed
    return marks


def _of_two(clip: Objects, verdict: Verdict) -> dict[str, bool]:
    """Marks for two things, in whichever order they were seen."""
    seen = [(thing.colour, thing.shape) for thing in verdict.things]
    asked = [(thing.colour, thing.shape) for thing in clip.things]
    relation = (
        verdict.relation if seen == asked or not _is_swapped(verdict, clip.things) else _opposite(verdict)
    )
    return {
        "pair": sorted(asked) == sorted((colour, shape or "") for colour, shape in seen),
        "relation": relation is not None and relation == clip.relation,
        "pair motion": len(seen) == 2 and all(thing.motion == clip.motion for thing in verdict.things),
    }


def _is_swapped(verdict: Verdict, asked: tuple[Thing, ...]) -> bool:
    """Whether the first thing seen is by its colour the second one asked for, or the other way round."""
    colours = [thing.colour for thing in verdict.things]
    return len(colours) == 2 and (colours[0] == asked[1].colour or colours[1] == asked[0].colour)


def _opposite(verdict: Verdict) -> str | None:
    if verdict.relation is None:
        return None
    x, y = RELATIONS[verdict.relation]
    return next(name for name, way in RELATIONS.items() if way == (-x, -y))


def _is_said(words: str, caption: str) -> bool:
    """Whether a caption holds one of the phrases of "[one|another]"."""
    phrases = [re.escape(phrase) for phrase in words.strip("[]").split("|") if phrase]
    return re.search(rf"\b({'|'.join(phrases)})\b", caption.lower()) is not None
