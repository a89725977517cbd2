"""The attempts that are under way in this process, and when the device will be free of them."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from models.job import Job
from services.attempt import Attempt, AttemptOptions
from services.events import EventHub
from services.execution.executor import Executor
from services.execution.messages import GenerationRequest
from services.file_store import FileStore
from services.job_store import DatabaseUnavailable, JobStore
from services.outlook import Experiences, Outlook, seconds_until_free

logger = logging.getLogger(__name__)

_MOST_BATCHES_BEHIND = 3
"""Batches beyond the device whose clips are encoded, stored or recorded: they are held in memory."""


@dataclass(eq=False)
class _Batch:
    attempts: list[Attempt]

    def seconds_left(self) -> float:
        return max(attempt.outlook.seconds_left() for attempt in self.attempts)


class RunningJobs:
    """Starts attempts in batches and follows each to its end.

    Args:
        claim_ahead: Whether there is room for more while clips are encoded, stored and recorded.
        on_end: Told the record that an attempt ends with, None where it lost its job.
    """

    def __init__(
        self,
        store: JobStore,
        files: FileStore,
        executor: Executor,
        hub: EventHub,
        options: AttemptOptions,
        *,
        claim_ahead: bool,
        on_end: Callable[[Job | None], None],
    ) -> None:
        self._store = store
        self._files = files
        self._executor = executor
        self._hub = hub
        self._options = options
        self._claim_ahead = claim_ahead
        self._on_end = on_end
        self._batches: list[_Batch] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._experiences = Experiences()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self.attempts)

    @property
    def attempts(self) -> list[Attempt]:
        return [attempt for batch in self._batches for attempt in batch.attempts]

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Each ends with its attempt."""
        return set(self._tasks)

    def fits(self, request: GenerationRequest) -> int:
        """How many of this kind the worker makes at once, by its own word."""
        return self._experiences[request.kind].fits

    def start(self, jobs: Sequence[tuple[Job, GenerationRequest]]) -> None:
        """Run attempts at claimed jobs, as one batch."""
        batch = _Batch([self._attempt(job, request) for job, request in jobs])
        self._batches.append(batch)
        for attempt in tuple(batch.attempts):
            logger.info("job %s starts, attempt %d", attempt.job.id, attempt.job.attempt)
            task = asyncio.create_task(self._run(attempt, batch), name=f"job {attempt.job.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def until_change(self, seconds: float) -> None:
        """Returns when there may be news of the device, or after so many seconds."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._changed.wait()

    def wake(self) -> None:
        """End ``until_change``."""
        self._changed.set()

    def seconds_until_free(self) -> float:
        """Until a device has room for another batch; infinite while that cannot be said."""
        slots = self._executor.slots
        most = slots + _MOST_BATCHES_BEHIND if self._claim_ahead else slots
        if len(self._batches) >= most:
            return math.inf
        return seconds_until_free((batch.seconds_left() for batch in self._batches), slots)

    def _attempt(self, job: Job, request: GenerationRequest) -> Attempt:
        return Attempt(
            job,
            request,
            outlook=Outlook(self._experiences[request.kind]),
            on_change=self.wake,
            store=self._store,
            files=self._files,
            executor=self._executor,
            hub=self._hub,
            options=self._options,
        )

    async def _run(self, attempt: Attempt, batch: _Batch) -> None:
        job = attempt.job
        record: Job | None = None
        try:
            record = await attempt.run()
            if record is None:
                logger.warning(
                    "job %s is no longer ours: its attempt %d counts for nothing", job.id, job.attempt
                )
        except DatabaseUnavailable:
            logger.error("the end of job %s is not recorded: the database is away", job.id)
        except Exception:
            logger.exception("an attempt at job %s failed unexpectedly", job.id)
        finally:
            batch.attempts.remove(attempt)
            if not batch.attempts:
                self._batches.remove(batch)
            self.wake()
        self._on_end(record)
