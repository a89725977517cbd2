"""Things are where their captions will say, in every frame; measured from the pixels."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from training.world.backgrounds import BACKGROUNDS, PLAIN, background
from training.world.clip import Drawing, Objects, Thing, draw, random_clip
from training.world.motions import DIRECTIONS, HOPS, ORBIT_RADIUS, ORBITS, SPEEDS, TRAVEL
from training.world.objects import RADII, RELATIONS
from training.world.palette import COLOURS

SIZE = 64


def one(motion: str, speed: str = "normal", shape: str = "star", seed: int = 0) -> Objects:
    return Objects((Thing(shape, "red", "medium"),), None, motion, speed, "white", seed)


def centres(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The middle of the mask in each frame, (x, y) in pixels."""
    return np.array([np.argwhere(frame).mean(axis=0)[::-1] for frame in mask])


def random_objects(count: int, things: int | None = None) -> list[Objects]:
    rng, found = np.random.default_rng(5), []
    while len(found) < count:
        clip = random_clip(rng)
        if isinstance(clip, Objects) and things in (None, len(clip.things)):
            found.append(clip)
    return found


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("motion", DIRECTIONS)
def test_directions(motion: str, speed: str) -> None:
    steps = np.diff(centres(draw(one(motion, speed)).mask), axis=0)
    assert steps.sum(axis=0) == pytest.approx(SIZE * TRAVEL[speed] * np.array(DIRECTIONS[motion]), abs=0.7)
    assert steps == pytest.approx(np.broadcast_to(steps.mean(axis=0), steps.shape), abs=0.8)


def test_still_things_do_not_change() -> None:
    frames = draw(one("still")).frames
    assert (frames == frames[0]).all()


def test_rotating_things_turn_clockwise_in_place() -> None:
    drawing = draw(one("rotate", "fast", shape="crescent"))
    assert np.array_equal(drawing.frames[0], drawing.frames[-1])
    towards = centres(drawing.mask) - centres(drawing.mask).mean(axis=0)
    turns = np.diff(np.unwrap(np.arctan2(towards[:-1, 1], towards[:-1, 0])))
    assert (turns > 0).all()
    slow = draw(one("rotate", "slow", shape="triangle"))
    assert not np.array_equal(slow.frames[0], slow.frames[-1])


@pytest.mark.parametrize(("motion", "ratio"), [("grow", 4), ("shrink", 1 / 4)])
def test_growing_and_shrinking(motion: str, ratio: float) -> None:
    areas = draw(one(motion)).mask.sum(axis=(1, 2))
    assert areas[-1] / areas[0] == pytest.approx(ratio, rel=0.1)
    assert (np.diff(areas) * (ratio - 1) > 0).all()


@pytest.mark.parametrize("speed", SPEEDS)
def test_bouncing_things_hop(speed: str) -> None:
    x, y = centres(draw(one("bounce", speed), num_frames=64).mask).T
    tops = [t for t in range(1, 63) if y[t - 1] >= y[t] < y[t + 1]]
    assert len(tops) == HOPS[speed] >= 2
    assert np.ptp(x) < 0.5
    assert np.ptp(y) > 0.3 * SIZE


@pytest.mark.parametrize("speed", SPEEDS)
def test_orbiting_things_circle_the_middle(speed: str) -> None:
    away = centres(draw(one("orbit", speed, seed=3)).mask) + 0.5 - SIZE / 2
    assert np.hypot(*away.T) == pytest.approx(np.full(16, SIZE * ORBIT_RADIUS), abs=1)
    swept = np.unwrap(np.arctan2(away[:, 1], away[:, 0]))
    assert swept[-1] - swept[0] == pytest.approx(2 * np.pi * ORBITS[speed], abs=0.1)


def test_sizes_differ() -> None:
    areas = [
        draw(replace(one("still"), things=(Thing("circle", "red", size),))).mask[0].sum() for size in RADII
    ]
    assert areas[1] > 1.4 * areas[0]
    assert areas[2] > 1.4 * areas[1]


def test_nothing_is_cut_and_backgrounds_stand_still() -> None:
    for clip in random_objects(150):
        drawing = draw(clip)
        rim = np.ones((SIZE, SIZE), dtype=bool)
        rim[1:-1, 1:-1] = False
        assert not drawing.mask[:, rim].any()
        assert drawing.mask.any(axis=(1, 2)).all()
        free = ~widened(drawing.mask.any(axis=0))
        assert (drawing.frames[:, free] == drawing.frames[0, free]).all()


def widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and a rim of four pixels, for soft edges and thin tips."""
    for shift, axis in ((1, 0), (2, 0), (1, 0), (1, 1), (2, 1), (1, 1)):
        mask = mask | np.roll(mask, shift, axis) | np.roll(mask, -shift, axis)
    return mask


def parts(clip: Objects, drawing: Drawing) -> list[NDArray[np.bool_]]:
    """Where each thing is, told by its colour."""
    return [
        drawing.mask & (np.abs(drawing.frames - np.array(COLOURS[thing.colour])).max(axis=-1) <= 1)
        for thing in clip.things
    ]


def test_two_things_keep_their_relation_and_move_alike() -> None:
    seen = set()
    for clip in random_objects(100, things=2):
        assert clip.relation is not None
        seen.add(clip.relation)
        first, second = (centres(part) for part in parts(clip, draw(clip)))
        away = (second - first) * np.abs(RELATIONS[clip.relation])
        assert (away @ RELATIONS[clip.relation] > 0.15 * SIZE).all()
        if clip.motion in DIRECTIONS:
            expected = SIZE * TRAVEL[clip.speed] * np.array(DIRECTIONS[clip.motion])
            assert first[-1] - first[0] == pytest.approx(expected, abs=1.2)
            assert second[-1] - second[0] == pytest.approx(expected, abs=1.2)


def test_things_have_their_colour_and_stand_out() -> None:
    for clip in random_objects(100):
        drawing = draw(clip)
        for thing, part in zip(clip.things, parts(clip, drawing), strict=True):
            assert thing.colour != clip.background
            assert (part.sum(axis=(1, 2)) >= 20).all()


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_backgrounds(name: str) -> None:
    small, large = background(name, 64, 1), background(name, 128, 1)
    assert np.abs(large.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)) - small).mean() < 0.6
    assert (small == PLAIN.get(name, tuple(small[0, 0]))).all() == (name in PLAIN)


def test_a_picture_of_twice_the_size_is_the_same_picture() -> None:
    for clip in random_objects(20):
        small, large = draw(clip, 64).frames, draw(clip, 128).frames
        assert np.abs(large.reshape(16, 64, 2, 64, 2, 3).mean(axis=(2, 4)) - small).mean() < 0.7


def test_drawing_depends_on_the_seed_alone() -> None:
    for clip in random_objects(10, things=1):
        assert np.array_equal(draw(clip).frames, draw(clip).frames)
        if clip.motion not in ("orbit",):
            assert not np.array_equal(draw(clip).frames, draw(replace(clip, seed=clip.seed ^ 1)).frames)
