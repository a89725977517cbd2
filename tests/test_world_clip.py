"""What is kept for testing is never drawn for training, and every clip has all its labels."""

from collections import Counter
from itertools import product

import numpy as np

from training.world.backgrounds import is_allowed
from training.world.clip import (
    ATTRIBUTES,
    KINDS,
    SHARES,
    Objects,
    Scenery,
    Thing,
    draw,
    is_held_out,
    labels,
    random_clip,
)
from training.world.motions import MOTIONS, WITHOUT_SPEED
from training.world.objects import fits
from training.world.palette import COLOURS
from training.world.shapes import SHAPES


def test_training_never_sees_what_is_held_out() -> None:
    rng = np.random.default_rng(0)
    assert not any(is_held_out(random_clip(rng)) for _ in range(2000))
    assert all(is_held_out(random_clip(rng, held_out=True)) for _ in range(200))


def test_a_tenth_is_held_out_and_no_value_wholly() -> None:
    kept: Counter[str] = Counter()
    combinations = list(product(COLOURS, SHAPES, MOTIONS))
    for colour, shape, motion in combinations:
        clip = Objects((Thing(shape, colour, "small"),), None, motion, "normal", "white", 0)
        if is_held_out(clip):
            kept.update((colour, shape, motion))
    assert 0.08 < kept.total() / 3 / len(combinations) < 0.12
    assert set(kept) == {*COLOURS, *SHAPES, *MOTIONS}
    for values in (COLOURS, SHAPES, MOTIONS):
        assert all(kept[value] < 0.3 * len(combinations) / len(values) for value in values)


def test_pairs_are_held_out_in_either_order_and_relation() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        clip = random_clip(rng, held_out=True)
        if isinstance(clip, Objects) and len(clip.things) == 2:
            turned = Objects(clip.things[::-1], "above", "still", "normal", "black", 0)
            assert is_held_out(turned)


def test_random_clips_are_valid_and_of_every_kind() -> None:
    rng = np.random.default_rng(2)
    clips = [random_clip(rng) for _ in range(2000)]
    kinds = Counter(labels(clip)["kind"] for clip in clips)
    for kind, share in zip(KINDS, SHARES, strict=True):
        assert abs(kinds[kind] / len(clips) - share) < 0.04
    for clip in clips:
        if isinstance(clip, Objects):
            assert fits(clip)
            assert all(is_allowed(thing.colour, clip.background) for thing in clip.things)
            assert (clip.relation is not None) == (len(clip.things) == 2)
            assert clip.motion not in WITHOUT_SPEED or clip.speed == "normal"
            assert clip.motion != "rotate" or clip.things[0].shape not in ("circle", "ring")


def test_labels_name_every_attribute_of_every_clip() -> None:
    rng = np.random.default_rng(3)
    seen: dict[str, set[str]] = {name: set() for name in ATTRIBUTES}
    for _ in range(3000):
        found = labels(random_clip(rng))
        assert list(found) == list(ATTRIBUTES)
        for name, value in found.items():
            seen[name].add(value)
    assert {name: set(values) for name, values in ATTRIBUTES.items()} == {
        name: values if name == "kind" else values | {"none"} for name, values in seen.items()
    }


def test_a_drawing_has_its_size_and_a_mask_only_of_things() -> None:
    rng = np.random.default_rng(4)
    for clip in [random_clip(rng) for _ in range(12)]:
        drawing = draw(clip, size=32, num_frames=5)
        assert (drawing.frames.shape, drawing.frames.dtype) == ((5, 32, 32, 3), np.uint8)
        assert (drawing.mask.shape, drawing.mask.dtype) == ((5, 32, 32), bool)
        assert drawing.mask.any() == (not isinstance(clip, Scenery))
