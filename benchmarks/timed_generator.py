"""The real generator, with a log of when it holds the device: for ``benchmarks.queue_gap``."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from services.execution.executor import Clip
from services.execution.messages import Completed, GenerationRequest
from services.generation.generator import Generator

LOG = "QUEUE_GAP_LOG"


class TimedGenerator(Generator):
    """Writes a line for each batch: when it began, when the device was free, what telling of it took."""

    def make(self, clips: Sequence[Clip]) -> None:
        began = time.monotonic()
        timed = [TimedClip(clip) for clip in clips]
        super().make(timed)
        line = {
            "began": began,
            "left": max(clip.left for clip in timed),
            "told": sum(clip.told for clip in timed),
        }
        with Path(os.environ[LOG]).open("a") as log:
            log.write(json.dumps(line) + "\n")


class TimedClip:
    """A clip that measures what its maker spends with it.

    Attributes:
        left: When the device was free of it, on the monotonic clock.
        told: Seconds spent in telling progress and in looking for a cancellation, until then.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.left = 0.0
        self.told = 0.0

    @property
    def request(self) -> GenerationRequest:
        return self._clip.request

    @property
    def is_cancelled(self) -> bool:
        began = time.perf_counter()
        try:
            return self._clip.is_cancelled
        finally:
            self._count(began)

    def progress(self, step: int, preview: bytes | None = None) -> None:
        began = time.perf_counter()
        self._clip.progress(step, preview)
        self._count(began)

    def leave_device(self, fits: int = 1) -> None:
        self.left = time.monotonic()
        self._clip.leave_device(fits)

    def complete(self, completed: Completed) -> None:
        self._clip.complete(completed)

    def fail(self, error: BaseException) -> None:
        self._clip.fail(error)

    def _count(self, began: float) -> None:
        if not self.left:
            self.told += time.perf_counter() - began
