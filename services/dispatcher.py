"""Takes jobs from the store to the executor, in their turn, and back."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from models.job import Job, JobError, JobStatus
from services.attempt import AttemptOptions
from services.catalogue import Catalogue
from services.events import EventHub
from services.execution.executor import Executor
from services.execution.messages import GenerationRequest
from services.file_store import FileStore
from services.holder_lock import HolderLock
from services.idle_unload import IdleUnload
from services.job_store import DatabaseUnavailable, JobStore
from services.preload import Preload
from services.recovery import Recovery
from services.running_jobs import RunningJobs

logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 2.0
_WORKER_POLL_SECONDS = 0.1
_LONGEST_LEAD_SECONDS = 0.5


@dataclass(frozen=True)
class DispatcherOptions:
    """How jobs are run.

    Attributes:
        worker: This dispatcher's name in the leases it holds.
        lease_seconds: How long a claim lasts without a heartbeat; one is sent every quarter of it.
        poll_seconds: How often the queue is looked at without a wake-up.
        max_attempts: Claims of one job before a lost worker or a time-out fails it.
        job_timeout_seconds: The longest one attempt may take.
        video_ttl: Age at which a clip's file goes.
        shutdown_grace_seconds: How long running jobs may go on once the service stops.
        idle_unload_seconds: Free the device after so long without a job; 0 never.
        preload: Load the default model before the first claim.
        claim_ahead: Claim the next job a moment before the device is free, and while the last one is encoded
            and recorded; else when all that is over.
    """

    worker: str
    lease_seconds: float = 30.0
    poll_seconds: float = 1.0
    max_attempts: int = 3
    job_timeout_seconds: float = 1800.0
    video_ttl: timedelta = timedelta(days=7)
    shutdown_grace_seconds: float = 30.0
    idle_unload_seconds: float = 0.0
    preload: bool = False
    claim_ahead: bool = True


class Dispatcher:
    """Runs while its ``async with`` block does; leaving the block drains it.

    A job is claimed when the device is about to be free, as long before as a claim takes: it must neither
    wait for the database nor seem to run while it waits for another job. Jobs whose turns follow each other
    are claimed together where they can be made in one batch (``GenerationRequest.kind``); nobody is
    overtaken for it. A job whose worker was lost is made alone from then on, in case it was the cause, and
    so is one in its last attempt.

    Args:
        observer: Told every record that an attempt or a recovery ends with, on the event loop.
        holders: Knows which holders of leases are dead; without it leases alone tell.
    """

    def __init__(
        self,
        store: JobStore,
        files: FileStore,
        executor: Executor,
        hub: EventHub,
        catalogue: Catalogue,
        options: DispatcherOptions,
        observer: Callable[[Job], None] | None = None,
        holders: HolderLock | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._executor = executor
        self._hub = hub
        self._catalogue = catalogue
        self._options = options
        self._observer = observer
        self._preload = Preload(executor, catalogue.default_entry)
        self._idle_unload = IdleUnload(executor, options.idle_unload_seconds)
        self._jobs = RunningJobs(
            store,
            files,
            executor,
            hub,
            AttemptOptions(
                lease_seconds=options.lease_seconds,
                max_attempts=options.max_attempts,
                job_timeout_seconds=options.job_timeout_seconds,
                video_ttl=options.video_ttl,
            ),
            claim_ahead=options.claim_ahead,
            on_end=self._end,
        )
        self._claim_seconds = 0.0
        self._draining = asyncio.Event()
        self._database_away = False
        self._preloading: asyncio.Task[None] | None = None
        self._recovery = Recovery(
            store,
            lease_seconds=options.lease_seconds,
            max_attempts=options.max_attempts,
            is_ours=self._is_ours,
            tell=self._tell,
            holders=holders,
        )
        self._recovering: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def preloaded(self) -> bool:
        """Whether the default model was loaded ahead of its first job."""
        return self._preload.succeeded

    @property
    def preload_error(self) -> str | None:
        """Why that could not be done, while that is so."""
        return self._preload.error

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that run now, newest progress included."""
        return tuple(attempt.job for attempt in self._jobs.attempts)

    async def __aenter__(self) -> "Dispatcher":
        self._idle_unload.start_over()
        if self._options.preload:
            self._preloading = asyncio.create_task(self._preload.run(), name="preload")
        else:
            self._preload.tried.set()
        self._recovering = asyncio.create_task(self._recover(), name="recovery")
        self._serving = asyncio.create_task(self._serve(), name="dispatcher")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.drain(self._options.shutdown_grace_seconds)

    async def drain(self, grace_seconds: float) -> None:
        """Claim nothing more; let running jobs finish for so long, then give them back to the queue."""
        self._draining.set()
        self._preload.tried.set()
        self._jobs.wake()
        self._hub.wake()
        for task in (self._preloading, self._recovering):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        for attempt in self._jobs.attempts:
            if not attempt.has_begun:
                attempt.give_back()
        if self._serving is None:
            return
        await asyncio.wait({self._serving, *self._jobs.tasks}, timeout=grace_seconds)
        for attempt in self._jobs.attempts:
            logger.warning("job %s is stopped and goes back to the queue", attempt.job.id)
            attempt.drain()
        while unfinished := {task for task in (self._serving, *self._jobs.tasks) if not task.done()}:
            await asyncio.wait(unfinished)

    async def _serve(self) -> None:
        """Claim and hand over, whenever there is room."""
        await self._preload.tried.wait()
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._draining.is_set():
            try:
                await self._serve_once()
                backoff = _FIRST_BACKOFF_SECONDS
                continue
            except DatabaseUnavailable:
                self._note_database(away=True)
            except Exception:
                # Without this loop the queue would stand still.
                logger.exception("a claim failed unexpectedly; the dispatcher goes on")
            await self._pause(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)

    async def _serve_once(self) -> None:
        await self._until_room()
        if self._draining.is_set():
            return
        if not self._executor.healthy:
            await self._pause(_WORKER_POLL_SECONDS)
            return
        clock = asyncio.get_running_loop().time
        began = clock()
        jobs = await self._store.claim_together(
            self._options.worker, self._options.lease_seconds, self._joins
        )
        self._note_database(away=False)
        if not jobs:
            await self._hub.wait_for_work(self._options.poll_seconds)
            if not self._jobs:
                await self._idle_unload.run_if_due()
        elif self._draining.is_set():
            for job in jobs:
                self._tell(await self._store.release(job, keep_attempt=False))
        else:
            await self._hand_over(jobs)
            # The longest of late, slowly forgotten: a lead that is too short leaves the device idle.
            self._claim_seconds = max(clock() - began, 0.9 * self._claim_seconds)

    async def _until_room(self) -> None:
        """Returns when a device is free, or will be by the time that a claim takes; or at once to drain."""
        while not self._draining.is_set():
            lead = min(2 * self._claim_seconds, _LONGEST_LEAD_SECONDS)
            left = self._jobs.seconds_until_free() - lead
            if left <= 0:
                return
            await self._jobs.until_change(left)

    def _joins(self, claimed: list[Job], job: Job) -> bool:
        """Whether a waiting job can be made together with those that were just claimed."""
        first, other = self._request(claimed[0]), self._request(job)
        if first is None or other is None or first.alone or job.attempt > 0 or first.kind != other.kind:
            return False
        return len(claimed) < self._jobs.fits(first)

    def _request(self, job: Job, companions: int = 0) -> GenerationRequest | None:
        """What the executor is asked for a claimed job; None when there is no such model."""
        model = self._catalogue.get(job.model)
        if model is None:
            return None
        # Another job that loses the worker would cost this one an attempt that it does not have.
        alone = job.attempt > 1 or job.attempt >= self._options.max_attempts
        return GenerationRequest(job.id, model, job.params, companions=companions, alone=alone)

    async def _hand_over(self, jobs: list[Job]) -> None:
        batch: list[tuple[Job, GenerationRequest]] = []
        for number, job in enumerate(jobs, start=1):
            self._hub.publish(job)
            request = self._request(job, companions=len(jobs) - number)
            if request is None:
                message = f"This service has no model {job.model!r}."
                error = JobError(code="model_unavailable", message=message)
                self._tell(await self._store.fail(job, error))
            else:
                batch.append((job, request))
        if batch:
            self._jobs.start(batch)

    def _end(self, record: Job | None) -> None:
        self._idle_unload.start_over()
        self._tell(record)

    def _tell(self, record: Job | None) -> None:
        if record is None:
            return
        logger.info("job %s is %s", record.id, record.status.value)
        self._hub.publish(record)
        if record.status is JobStatus.QUEUED:
            self._hub.wake()
        if self._observer is not None:
            self._observer(record)

    async def _recover(self) -> None:
        while True:
            try:
                await self._recovery.sweep()
                self._note_database(away=False)
            except DatabaseUnavailable:
                self._note_database(away=True)
            except Exception:
                logger.exception("the recovery of stalled jobs failed and goes on")
            await self._pause(self._recovery.interval_seconds)

    def _is_ours(self, job: Job) -> bool:
        return any(job.id == ours.id and job.fence == ours.fence for ours in self.running)

    def _note_database(self, *, away: bool) -> None:
        if away != self._database_away:
            self._database_away = away
            if away:
                logger.error("the database is away: no job is claimed until it is back")
            else:
                logger.info("the database is back")

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()
