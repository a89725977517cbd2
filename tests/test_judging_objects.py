"""The judge sees what was drawn, also through blur and noise, and nothing that was not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.drawn_clips import cases_of_things, perturbed
from training.judging.agreement import agreement
from training.judging.objects import judge
from training.judging.tables import Case, add_up, shuffled
from training.world.clip import Objects, Thing, draw
from training.world.motions import MOTIONS, WITHOUT_SPEED, speeds_of

RED_CIRCLE = Objects((Thing("circle", "red", "medium"),), None, "still", "normal", "white", 1)


def marks(case: Case, frames: NDArray[np.uint8]) -> dict[str, bool]:
    return agreement(case.clip, case.caption, judge(frames), "things")


@pytest.mark.parametrize(("size", "count"), [(64, 60), (128, 10)])
def test_drawn_clips_are_judged_right(size: int, count: int) -> None:
    for case in cases_of_things(count, seed=size):
        found = marks(case, draw(case.clip, size).frames)
        assert all(found.values()), (case, found)


def test_blur_noise_and_other_shades_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    cases = cases_of_things(50, seed=2)
    scores = add_up([marks(case, perturbed(draw(case.clip).frames, rng)) for case in cases])
    shares = {row: score.share for row, score in scores.items() if score.share is not None}
    assert min(shares.values()) >= 0.97, shares


def test_clips_of_other_prompts_are_judged_wrong() -> None:
    cases = cases_of_things(40, seed=3)
    clips = [draw(case.clip).frames for case in cases]
    scores = add_up([marks(case, clips[place]) for case, place in zip(cases, shuffled(cases), strict=True)])
    for row in ("colour", "shape", "motion", "background", "pair", "all of one"):
        assert (scores[row].share or 0) < 0.4, row


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_and_speed_is_told(motion: str) -> None:
    for speed in speeds_of(motion):
        clip = replace(RED_CIRCLE, things=(Thing("star", "red", "small"),), motion=motion, speed=speed)
        seen = judge(draw(clip).frames).things[0]
        assert seen.motion == motion
        assert motion in WITHOUT_SPEED or seen.speed == speed


def test_a_horizon_that_is_a_little_off_is_no_thing() -> None:
    clip = replace(RED_CIRCLE, background="beach")
    for shift in (-2, 2):
        frames = draw(clip).frames.copy()
        frames[:, 36:50] = np.where(
            draw(clip).mask[:, 36:50, :, None], frames[:, 36:50], np.roll(frames, shift, axis=1)[:, 36:50]
        )
        assert judge(frames).count == 1


def test_an_empty_picture_shows_no_thing() -> None:
    verdict = judge(np.full((16, 64, 64, 3), 244, np.uint8))
    assert (verdict.count, verdict.things, verdict.background) == (0, (), "white")


def test_noise_is_no_background() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3)).astype(np.uint8)
    assert judge(noise).background is None


def test_a_thing_that_goes_away_is_not_counted() -> None:
    frames = draw(RED_CIRCLE).frames.copy()
    frames[6:] = 244
    verdict = judge(frames)
    assert (verdict.count, verdict.things) == (0, ())


def test_a_thing_that_changes_its_colour_has_none() -> None:
    frames = draw(RED_CIRCLE).frames.copy()
    blue = replace(RED_CIRCLE, things=(Thing("circle", "blue", "medium"),))
    frames[8:] = draw(blue).frames[8:]
    assert judge(frames).things == ()


def test_a_thing_that_changes_its_shape_has_none() -> None:
    frames = draw(RED_CIRCLE).frames.copy()
    ring = replace(RED_CIRCLE, things=(Thing("ring", "red", "medium"),))
    frames[8:] = draw(ring).frames[8:]
    assert judge(frames).things[0].shape is None


def test_two_things_of_one_colour_are_two() -> None:
    small = replace(RED_CIRCLE, things=(Thing("circle", "red", "small"),))
    frames = draw(small).frames
    twice = np.minimum(frames, np.roll(frames, 32, axis=2))
    assert judge(twice).count == 2


def test_a_thing_that_jumps_about_has_no_motion() -> None:
    rng = np.random.default_rng(0)
    frames = np.stack([np.roll(f, rng.integers(-8, 8, 2), axis=(0, 1)) for f in draw(RED_CIRCLE).frames])
    assert judge(frames).things[0].motion is None
