"""When a job will probably be done."""

import asyncio
import heapq
import logging
import time
from bisect import bisect_left
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol, TypeVar

from models.job import Job, JobStatus
from services.database_errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long an answer waits for each thing that an estimate has to know."""

_REMEMBER_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 60.0
"""How long a question is not asked again that took too long."""

Known = TypeVar("Known")


class _Late(Exception):
    """Not known in time, or not at all."""


class History(Protocol):
    """What the estimate needs of the job store."""

    async def count_queued(self, *, limit: int, before: str | None = None) -> int: ...

    async def queued_places(self, *, limit: int) -> list[str]: ...

    async def running(self) -> list[Job]: ...

    async def average_seconds(self, model: str) -> float | None: ...


class Estimator:
    """Queue positions and remaining seconds. Averages are remembered for a few seconds, per model.

    No answer fails for want of an estimate: what the history cannot tell in time is not known.
    """

    def __init__(self, history: History, max_queued: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._history = history
        self._max_queued = max_queued
        self._patience_seconds = patience_seconds
        self._averages: dict[str, float | None] = {}
        self._ask_at: dict[str, float] = {}

    async def queue_positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        """By id how many jobs are ahead in the queue, for those of ``jobs`` that wait there."""
        waiting = {job.id: job.place or "" for job in jobs if job.status is JobStatus.QUEUED}
        if not waiting:
            return {}
        try:
            if len(waiting) == 1:
                ((job_id, place),) = waiting.items()
                count = self._history.count_queued(limit=self._max_queued, before=place)
                return {job_id: await self._in_time(count)}
            queue = await self._in_time(self._history.queued_places(limit=self._max_queued))
        except _Late:
            return {}
        return {job_id: bisect_left(queue, place) for job_id, place in waiting.items()}

    async def remaining_seconds(
        self, jobs: Sequence[Job], positions: Mapping[str, int], now: datetime
    ) -> dict[str, float | None]:
        """By id the seconds until each job is done; None where nothing is known.

        Args:
            positions: What ``queue_positions`` says of the same jobs.
        """
        running: dict[str, list[float | None]] = {}
        if positions:
            try:
                found = await self._in_time(self._history.running())
            except _Late:
                positions = {}
            else:
                for job in found:
                    # What one worker has at hand, a batch or a clip that is still encoded, ends together.
                    worker = job.lease.worker if job.lease is not None else job.id
                    running.setdefault(worker, []).append(await self._of_running(job, now))
        remaining: dict[str, float | None] = {}
        for job in jobs:
            if job.id in positions:
                remaining[job.id] = await self._of_waiting(job, positions[job.id], running.values())
            elif job.status is JobStatus.IN_PROGRESS and not job.cancel_requested:
                remaining[job.id] = await self._of_running(job, now)
            else:
                remaining[job.id] = None
        return remaining

    async def _of_waiting(
        self, job: Job, ahead: int, running: Iterable[Sequence[float | None]]
    ) -> float | None:
        average = await self._average(job.model)
        if average is None:
            return None
        # A job that runs and of which nothing is known is counted whole.
        busy = [max(average if seconds is None else seconds for seconds in jobs) for jobs in running]
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
        now = time.monotonic()
        if now >= self._ask_at.get(model, now):
            # Whoever asks meanwhile does not wait too.
            self._ask_at[model] = now + _ASK_AGAIN_SECONDS
            with suppress(_Late):
                self._averages[model] = await self._in_time(self._history.average_seconds(model))
                self._ask_at[model] = time.monotonic() + _REMEMBER_SECONDS
        return self._averages.get(model)

    async def _in_time(self, answer: Awaitable[Known]) -> Known:
        """Raises _Late."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await answer
        except (TimeoutError, DatabaseUnavailable) as error:
            logger.warning("an estimate is left out: the database did not tell in time")
            raise _Late from error


def seconds_in_line(busy: Sequence[float], ahead: int, average: float) -> float:
    """Until a waiting job is done: who is next takes the place that is free first.

    Args:
        busy: Seconds that each worker has yet to do; there is at least one.
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
