"""Describes a clip in words, as varied as people do; see some with: python -m training.world

What a caption leaves out has its default: size medium, speed normal, motion still, and the background that
default_background names (black, unless that hides a thing). Colours, shapes and all that is no default are
said.

Kept for testing: the forms whose names begin with HELD_OUT, the second phrases of each scenery, and a third
of the pairs of by-names of a colour and a shape ("crimson hoop", say). Training knows all their words.
"""

import string
import zlib
from typing import TypeVar

import numpy as np

from training.world.backgrounds import default_background
from training.world.clip import Clip, Objects, Scenery, Thing
from training.world.forms import (
    ADJECTIVE_FORM,
    FORMS,
    HELD_OUT_FORMS,
    HELD_OUT_PAIR_FORMS,
    OPENING,
    PAIR_FORMS,
    SILENT_FORMS,
)
from training.world.motions import WITHOUT_SPEED
from training.world.phrases import SCENERY_PHRASES
from training.world.words import (
    ADJECTIVES,
    BACKGROUND_LIKENESS,
    BACKGROUND_NAMES,
    BACKGROUND_PHRASES,
    COLOUR_WORDS,
    OWN_VERBS,
    RELATION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    SPEED_WORDS,
    VERBS,
    WAYS,
    say,
    verbs_of,
    words_in,
)

T = TypeVar("T")

NOISE_SHARE = 0.1
"""Captions with a word of random letters, so that words the model was never told do not throw it off."""
SHORTENED_SHARE = 0.3
"""Scenery captions that lack a word: beside "rain", "shower" would say nothing, and never be learnt."""


def describe(clip: Clip, rng: np.random.Generator, held_out: bool = False) -> str:
    """A caption for a clip; with held_out in a wording that is never used for training, without noise."""
    if isinstance(clip, Scenery):
        caption = _describe_scenery(clip, rng, held_out)
    else:
        caption = _describe_objects(clip, rng, held_out)
    if rng.random() < 0.25:
        caption = caption[0].upper() + caption[1:]
    if rng.random() < 0.2:
        caption += "."
    return caption if held_out or rng.random() >= NOISE_SHARE else _with_noise_word(caption, rng)


def vocabulary() -> list[str]:
    """Every word that a caption can hold, noise aside: lower case, sorted."""
    phrases = [OPENING, *FORMS, *SILENT_FORMS, *PAIR_FORMS, *HELD_OUT_FORMS, *HELD_OUT_PAIR_FORMS]
    phrases += ["a an the both together and of", *COLOUR_WORDS, *SHAPE_WORDS]
    for table in (SHAPE_WORDS, COLOUR_WORDS, SIZE_WORDS, SPEED_WORDS, RELATION_WORDS, WAYS, ADJECTIVES):
        phrases += table.values()
    for table in (BACKGROUND_NAMES, BACKGROUND_PHRASES, BACKGROUND_LIKENESS):
        phrases += table.values()
    phrases += [form for verbs in (VERBS, *OWN_VERBS.values()) for verb in verbs for form in verb]
    phrases += [phrase for lists in SCENERY_PHRASES.values() for phrase in (*lists[0], *lists[1])]
    return sorted(words_in(*phrases))


def is_held_out_pair(colour: str, shape: str) -> bool:
    """Whether a colour's word beside a shape's word is kept for testing; never if either is plain."""
    plain = colour in {*COLOUR_WORDS, "gray"} or shape in SHAPE_WORDS
    return not plain and zlib.crc32(f"{colour} {shape}".encode()) % 3 == 0


def _describe_scenery(clip: Scenery, rng: np.random.Generator, held_out: bool) -> str:
    known, kept = SCENERY_PHRASES[clip.name]
    if held_out:
        return say(_pick(kept, rng), rng)
    words = say(_pick(known, rng), rng).split()
    if len(words) > 2 and rng.random() < SHORTENED_SHARE:
        words.pop(int(rng.integers(len(words))))
    return f"{say(OPENING, rng)} {' '.join(words)}".strip(" ,")


def _describe_objects(clip: Objects, rng: np.random.Generator, held_out: bool) -> str:
    """Say everything that is no default, and the defaults now and then."""
    alone = len(clip.things) == 1
    is_default = clip.background == default_background(tuple(thing.colour for thing in clip.things))
    silent_background = is_default and not held_out and rng.random() < 0.6
    if clip.motion == "still" and not held_out and rng.random() < 0.6:
        form = _pick(SILENT_FORMS, rng)
    elif held_out:
        form = _pick(HELD_OUT_FORMS if alone else HELD_OUT_PAIR_FORMS, rng)
    elif alone and clip.motion in ADJECTIVES and rng.random() < 0.08:
        form = ADJECTIVE_FORM
    else:
        forms = FORMS if alone else PAIR_FORMS
        form = _pick(tuple(f for f in forms if not silent_background or "{like}" not in f), rng)
    things = [_thing(thing, clip.motion, rng, held_out) for thing in clip.things]
    relation = "" if clip.relation is None else f" {say(RELATION_WORDS[clip.relation], rng)} "
    doing, does = _motion(clip, rng)
    parts = {
        "opening": OPENING,
        "a thing": relation.join(f"{_article(thing, rng)} {thing}" for thing in things),
        "thing": relation.join(things),
        "doing": doing,
        "does": does,
        "quick": {"slow": "slowly", "normal": "", "fast": "[fast|quickly|rapidly]"}[clip.speed],
        "adjective": ADJECTIVES.get(clip.motion, ""),
        "there": "" if silent_background else BACKGROUND_PHRASES[clip.background],
        "backdrop": "" if silent_background else BACKGROUND_NAMES[clip.background],
        "like": BACKGROUND_LIKENESS[clip.background],
    }
    for name, part in parts.items():
        form = form.replace(f"{{{name}}}", part)
    return say(form, rng).strip(" ,")


def _thing(thing: Thing, motion: str, rng: np.random.Generator, held_out: bool) -> str:
    """Size, colour and shape in words. A bouncing ball is a scenery; so a circle that bounces is no ball."""
    while True:
        colour, shape = say(COLOUR_WORDS[thing.colour], rng), say(SHAPE_WORDS[thing.shape], rng)
        pair = colour.split()[-1], shape.split()[0]
        if (held_out or not is_held_out_pair(*pair)) and (motion, shape) != ("bounce", "ball"):
            return say(f"{SIZE_WORDS[thing.size]} {colour} {shape}", rng)


def _article(thing: str, rng: np.random.Generator) -> str:
    article = "an" if thing[0] in "aeiou" else "a"
    return _pick((article, article, article, "the", ""), rng)


def _motion(clip: Objects, rng: np.random.Generator) -> tuple[str, str]:
    """The motion with its speed, as it follows "is" and "it"."""
    doing, does = _pick(verbs_of(clip.motion), rng)
    speed = "" if clip.motion in WITHOUT_SPEED else say(SPEED_WORDS[clip.speed], rng)
    if speed.endswith("ly") and rng.random() < 0.4:
        doing, does = f"{speed} {doing}", f"{speed} {does}"
    else:
        doing, does = f"{doing} {speed}", f"{does} {speed}"
    if len(clip.things) == 2:
        doing = _pick((f"both {doing}", f"both {doing}", f"{doing} together"), rng)
    return doing, does


def _with_noise_word(caption: str, rng: np.random.Generator) -> str:
    noise = "".join(rng.choice(list(string.ascii_lowercase), size=int(rng.integers(2, 9))))
    words = caption.split()
    words.insert(int(rng.integers(len(words) + 1)), noise)
    return " ".join(words)


def _pick(options: tuple[T, ...], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]
