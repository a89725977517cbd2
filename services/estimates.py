"""When a job will probably be done."""

import heapq
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from models.job import Job, JobStatus

_REMEMBER_SECONDS = 5.0


class History(Protocol):
    """What the estimate needs of the job store."""

    async def count_queued(self, *, limit: int, before: str | None = None) -> int: ...

    async def queued_places(self, *, limit: int) -> list[str]: ...

    async def running(self) -> list[Job]: ...

    async def average_seconds(self, model: str) -> float | None: ...


class Estimator:
    """Queue positions and remaining seconds. Averages are remembered for a few seconds, per model."""

    def __init__(self, history: History, max_queued: int) -> None:
        self._history = history
        self._max_queued = max_queued
        self._averages: dict[str, tuple[float, float | None]] = {}

    async def queue_positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        """By id how many jobs are ahead in the queue, for those of ``jobs`` that wait there."""
        waiting = {job.id: job.place or "" for job in jobs if job.status is JobStatus.QUEUED}
        if not waiting:
            return {}
        if len(waiting) == 1:
            ((job_id, place),) = waiting.items()
            return {job_id: await self._history.count_queued(limit=self._max_queued, before=place)}
        queue = await self._history.queued_places(limit=self._max_queued)
        return {job_id: bisect_left(queue, place) for job_id, place in waiting.items()}

    async def remaining_seconds(
        self, jobs: Sequence[Job], positions: Mapping[str, int], now: datetime
    ) -> dict[str, float | None]:
        """By id the seconds until each job is done; None where nothing is known.

        Args:
            positions: What ``queue_positions`` says of the same jobs.
        """
        running: list[float | None] = []
        if positions:
            running = [await self._of_running(job, now) for job in await self._history.running()]
        remaining: dict[str, float | None] = {}
        for job in jobs:
            if job.id in positions:
                remaining[job.id] = await self._of_waiting(job, positions[job.id], running)
            elif job.status is JobStatus.IN_PROGRESS and not job.cancel_requested:
                remaining[job.id] = await self._of_running(job, now)
            else:
                remaining[job.id] = None
        return remaining

    async def _of_waiting(self, job: Job, ahead: int, running: Sequence[float | None]) -> float | None:
        average = await self._average(job.model)
        if average is None:
            return None
        # A job that runs and of which nothing is known is counted whole.
        busy = [average if seconds is None else seconds for seconds in running]
        return round(seconds_in_line(busy, ahead, average), 1)

    async def _of_running(self, job: Job, now: datetime) -> float | None:
        if job.cancel_requested:
            return 0.0
        if (sampling := sampling_seconds_left(job, now)) is not None:
            return sampling
        average = await self._average(job.model)
        if average is None or job.started_at is None:
            return None
        return round(max(0.0, average - (now - job.started_at).total_seconds()), 1)

    async def _average(self, model: str) -> float | None:
        read_at, average = self._averages.get(model, (float("-inf"), None))
        if time.monotonic() - read_at > _REMEMBER_SECONDS:
            average = await self._history.average_seconds(model)
            self._averages[model] = (time.monotonic(), average)
        return average


def seconds_in_line(busy: Sequence[float], ahead: int, average: float) -> float:
    """Until a waiting job is done: who is next takes the place that is free first.

    Args:
        busy: Seconds left of each job that runs; as many run at a time, and at least one.
        ahead: How many wait before it.
        average: Seconds that a job takes.
    """
    places = list(busy) or [0.0]
    heapq.heapify(places)
    for _ in range(ahead):
        heapq.heapreplace(places, places[0] + average)
    return places[0] + average


def sampling_seconds_left(job: Job, now: datetime) -> float | None:
    """From the time the steps took so far; None until one is done."""
    done, total = job.progress.step, job.progress.total
    if job.started_at is None or done < 1 or total < 1:
        return None
    elapsed = (now - job.started_at).total_seconds() - (job.timings.load or 0.0)
    return round(max(0.0, elapsed) / done * max(0, total - done), 1)
