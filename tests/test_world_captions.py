"""Captions say what is drawn, in words that the vocabulary holds; held-out wordings stay held out."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from training.world.backgrounds import default_background
from training.world.captions import NOISE_SHARE, describe, is_held_out_pair, vocabulary
from training.world.clip import Clip, Objects, Scenery, random_clip
from training.world.scenery import SCENERIES
from training.world.words import (
    ADJECTIVES,
    BACKGROUND_LIKENESS,
    BACKGROUND_NAMES,
    BACKGROUND_PHRASES,
    COLOUR_WORDS,
    RELATION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    say,
    verbs_of,
    words_in,
)

KNOWN = set(vocabulary())


def described(count: int, held_out: bool = False, seed: int = 0) -> Iterator[tuple[Clip, str]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        clip = random_clip(rng, held_out)
        yield clip, describe(clip, rng, held_out)


def words(caption: str) -> list[str]:
    return re.findall("[a-z]+", caption.lower())


def test_the_vocabulary_holds_every_word_but_noise() -> None:
    unknown = [set(words(caption)) - KNOWN for _, caption in described(3000)]
    assert max(map(len, unknown)) == 1
    assert abs(np.mean([len(found) for found in unknown]) - NOISE_SHARE) < 0.02
    assert sorted(KNOWN) == vocabulary()


def test_held_out_wordings_are_new_but_their_words_are_known() -> None:
    trained = [caption.lower().rstrip(".") for _, caption in described(6000)]
    kept = [caption.lower().rstrip(".") for _, caption in described(600, held_out=True)]
    assert not set(trained) & set(kept)
    assert {word for caption in kept for word in words(caption)} <= {
        word for caption in trained for word in words(caption)
    }


def test_by_names_that_are_held_out_never_meet_in_training() -> None:
    pairs = [
        pair
        for _, caption in described(2500)
        for pair in zip(words(caption), words(caption)[1:], strict=False)
    ]
    assert not any(
        is_held_out_pair(colour, shape)
        for colour, shape in pairs
        if colour in words_in(*COLOUR_WORDS.values()) and shape in words_in(*SHAPE_WORDS.values())
    )
    assert is_held_out_pair("red", "circle") is False


def test_captions_are_tidy() -> None:
    for held_out in (False, True):
        for _, caption in described(800, held_out):
            assert re.fullmatch("[a-z ,.-]+", caption.lower()), caption
            assert "  " not in caption
            assert " ," not in caption
            assert ",," not in caption
            assert len(caption.split()) < 40


def test_captions_name_what_is_drawn() -> None:
    for clip, caption in described(1500):
        said = set(words(caption))
        if isinstance(clip, Scenery):
            continue
        for thing in clip.things:
            assert said & words_in(COLOUR_WORDS[thing.colour])
            assert said & words_in(SHAPE_WORDS[thing.shape])
            assert thing.size == "medium" or said & words_in(SIZE_WORDS[thing.size])
        if clip.motion != "still":
            phrases = [form for verb in verbs_of(clip.motion) for form in verb]
            assert said & words_in(*phrases, ADJECTIVES.get(clip.motion, ""))
        if clip.relation is not None:
            assert said & words_in(RELATION_WORDS[clip.relation])
        if clip.background != default_background(tuple(thing.colour for thing in clip.things)):
            tables = (BACKGROUND_NAMES, BACKGROUND_PHRASES, BACKGROUND_LIKENESS)
            assert said & words_in(*(table[clip.background] for table in tables))


def test_words_of_a_scenery_come_alone_too() -> None:
    rng = np.random.default_rng(0)
    captions = [set(words(describe(Scenery("rain", 0), rng))) for _ in range(500)]
    assert any("shower" in caption and "rain" not in caption for caption in captions)
    captions = [set(words(describe(Scenery("fireworks", 0), rng))) for _ in range(500)]
    assert {"year", "fireworks"} in captions
    assert all(captions)


def test_a_bouncing_ball_is_a_scenery() -> None:
    for clip, caption in described(3000):
        if isinstance(clip, Objects) and clip.motion == "bounce":
            assert "ball" not in words(caption)


def test_the_same_seed_says_the_same_and_others_vary() -> None:
    clip = random_clip(np.random.default_rng(0))
    assert describe(clip, np.random.default_rng(1)) == describe(clip, np.random.default_rng(1))
    assert len({describe(clip, np.random.default_rng(seed)) for seed in range(50)}) > 25
    for name in SCENERIES:
        assert len({describe(Scenery(name, 0), np.random.default_rng(seed)) for seed in range(100)}) > 25


@pytest.mark.parametrize(
    "prompt",
    [
        "a peaceful sunset over mountain ranges",
        "a futuristic city with flying vehicles",
        "a coral reef under water",
        "geometric shapes morphing and dancing",
        "a red circle moving left on a blue background",
        "on a blue background, a red circle moves to the left",
        "leftward-moving red disc over blue",
        "a blue square above a yellow star",
        "snow falling gently",
    ],
)
def test_likely_prompts_are_in_known_words(prompt: str) -> None:
    assert set(words(prompt)) <= KNOWN


def test_alternatives_are_decided_from_the_inside_out() -> None:
    said = {say("[a [b|c]|d] e", np.random.default_rng(seed)) for seed in range(50)}
    assert said == {"a b e", "a c e", "d e"}
