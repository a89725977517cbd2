"""How long the device will yet be busy, judged by what has been seen of it."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from services.execution.messages import DeviceDone, News, Progress

_MOST_KINDS = 1000

_FEWEST_STEPS = 2
"""Before so many steps nothing is said: the first one also warms up."""


@dataclass
class Experience:
    """Of one kind of job.

    Attributes:
        decode_seconds: How long the last one held the device after its last step; None before the first.
        fits: So many can be made at once.
    """

    decode_seconds: float | None = None
    fits: int = 1


class Experiences:
    """By kind; the one that was looked up longest ago is forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Experience] = OrderedDict()

    def __getitem__(self, kind: Hashable) -> Experience:
        experience = self._known.setdefault(kind, Experience())
        self._known.move_to_end(kind)
        if len(self._known) > _MOST_KINDS:
            self._known.popitem(last=False)
        return experience


class Outlook:
    """Of one job: follows its news, and adds to what is known of its kind.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, experience: Experience, clock: Callable[[], float] = time.monotonic) -> None:
        self._experience = experience
        self._clock = clock
        self._sampling_since: float | None = None
        self._stepped_at = 0.0
        self._steps = 0
        self._total = 0
        self._is_done = False

    def hear(self, news: News) -> None:
        now = self._clock()
        match news:
            case Progress(step=step, total=total):
                if step == 0 or self._sampling_since is None:
                    self._sampling_since = now
                self._steps, self._total, self._stepped_at = step, total, now
            case DeviceDone(fits=fits):
                self._is_done = True
                self._experience.fits = fits
                if self._total and self._steps == self._total:
                    self._experience.decode_seconds = now - self._stepped_at

    def end(self) -> None:
        """The job is answered, however it went."""
        self._is_done = True

    def seconds_left(self) -> float:
        """Until the device is free of the job; infinite while nothing is known.

        A step that is late tells that those to come may be: what stalls is never nearly done.
        """
        if self._is_done:
            return 0.0
        decoding = self._experience.decode_seconds
        if decoding is None or self._sampling_since is None or self._steps < _FEWEST_STEPS:
            return math.inf
        elapsed = self._clock() - self._stepped_at
        pace = (self._stepped_at - self._sampling_since) / self._steps
        left = (self._total - self._steps) * max(pace, elapsed) + decoding
        return max(0.0, left - elapsed)


def seconds_until_free(batches: Iterable[float], slots: int) -> float:
    """Until one of so many devices is free, by the seconds that each batch still holds one."""
    busy = sorted(batches, reverse=True)
    return busy[slots - 1] if len(busy) >= slots else 0.0
