"""Guesses of when the device is free."""

import math

import pytest

from services.execution.messages import DeviceDone, Progress, Started
from services.outlook import Experience, Experiences, Outlook, seconds_until_free


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def hear(outlook: Outlook, clock: Clock, *, steps: int, seconds: float, total: int = 10) -> None:
    outlook.hear(Started("video_1"))
    for step in range(steps + 1):
        outlook.hear(Progress("video_1", step, total))
        clock.now += seconds if step < steps else 0.0


def test_the_first_of_a_kind_is_unknown_until_the_device_is_free() -> None:
    clock, experience = Clock(), Experience()
    outlook = Outlook(experience, clock)
    assert outlook.seconds_left() == math.inf
    hear(outlook, clock, steps=10, seconds=0.5)
    assert outlook.seconds_left() == math.inf
    clock.now += 3.0
    outlook.hear(DeviceDone("video_1", fits=4))
    assert outlook.seconds_left() == 0.0
    assert experience == Experience(decode_seconds=3.0, fits=4)


def test_the_next_is_judged_by_its_pace_and_the_decoding_of_the_last() -> None:
    clock = Clock()
    outlook = Outlook(Experience(decode_seconds=3.0), clock)
    outlook.hear(Started("video_1"))
    assert outlook.seconds_left() == math.inf
    hear(outlook, clock, steps=4, seconds=0.5)
    assert outlook.seconds_left() == pytest.approx(6 * 0.5 + 3.0)
    clock.now += 0.4
    assert outlook.seconds_left() == pytest.approx(5.6)


def test_what_stalls_is_not_nearly_done() -> None:
    clock = Clock()
    outlook = Outlook(Experience(decode_seconds=3.0), clock)
    hear(outlook, clock, steps=9, seconds=0.01)
    clock.now += 100.0
    assert outlook.seconds_left() == pytest.approx(3.0)
    outlook = Outlook(Experience(decode_seconds=3.0), clock)
    hear(outlook, clock, steps=8, seconds=0.01)
    clock.now += 100.0
    assert outlook.seconds_left() == pytest.approx(103.0)


def test_the_first_step_says_nothing() -> None:
    clock = Clock()
    outlook = Outlook(Experience(decode_seconds=3.0), clock)
    hear(outlook, clock, steps=1, seconds=0.5)
    assert outlook.seconds_left() == math.inf


def test_a_batch_that_begins_anew_is_judged_anew() -> None:
    clock = Clock()
    outlook = Outlook(Experience(decode_seconds=0.0), clock)
    hear(outlook, clock, steps=4, seconds=5.0)
    hear(outlook, clock, steps=2, seconds=0.5)
    assert outlook.seconds_left() == pytest.approx(8 * 0.5)


def test_a_job_that_fails_says_nothing_of_decoding() -> None:
    clock, experience = Clock(), Experience(decode_seconds=3.0)
    outlook = Outlook(experience, clock)
    hear(outlook, clock, steps=4, seconds=0.5)
    outlook.hear(DeviceDone("video_1"))
    assert experience.decode_seconds == 3.0
    failed = Outlook(experience, clock)
    failed.end()
    assert failed.seconds_left() == 0.0


def test_kinds_that_were_not_asked_for_are_forgotten() -> None:
    experiences = Experiences()
    experiences["first"].fits = 5
    experiences["second"].fits = 7
    for number in range(999):
        assert experiences["first"].fits == 5
        assert experiences[number].fits == 1
    assert experiences["second"].fits == 1


@pytest.mark.parametrize(
    ("batches", "slots", "seconds"),
    [([], 1, 0.0), ([0.0], 1, 0.0), ([0.0, 4.0], 1, 4.0), ([3.0], 2, 0.0), ([3.0, 5.0, 0.0], 2, 3.0)],
)
def test_until_one_of_the_devices_is_free(batches: list[float], slots: int, seconds: float) -> None:
    assert seconds_until_free(batches, slots) == seconds
