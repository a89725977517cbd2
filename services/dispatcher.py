"""Takes jobs from the store to the executor, oldest first, and back."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from models.job import Job, JobError, JobStatus
from services.attempt import Attempt, AttemptOptions
from services.catalogue import Catalogue
from services.events import EventHub
from services.execution.executor import ExecutionFailed, Executor, WorkerLost
from services.file_store import FileStore
from services.holder_lock import HolderLock
from services.job_store import DatabaseUnavailable, JobStore
from services.recovery import Recovery

logger = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 2.0
_WORKER_POLL_SECONDS = 0.1
_LONGEST_PRELOAD_PAUSE_SECONDS = 60.0


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


class Dispatcher:
    """Runs while its ``async with`` block does; leaving the block drains it.

    Args:
        observer: Told every record that an attempt or a recovery ends with, on the event loop.
        holders: Knows which holders of leases are dead; without it leases alone tell.

    Attributes:
        preload_error: Why the default model could not be loaded ahead of its first job, while that is so.
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
        self.preload_error: str | None = None
        self._attempt_options = AttemptOptions(
            lease_seconds=options.lease_seconds,
            max_attempts=options.max_attempts,
            job_timeout_seconds=options.job_timeout_seconds,
            video_ttl=options.video_ttl,
        )
        self._attempts: set[Attempt] = set()
        self._draining = asyncio.Event()
        self._database_away = False
        self._idle_since = 0.0
        self._preloading: asyncio.Task[None] | None = None
        self._preload_tried = asyncio.Event()
        self._recovery = Recovery(
            store,
            lease_seconds=options.lease_seconds,
            max_attempts=options.max_attempts,
            is_ours=self._is_ours,
            tell=self._tell,
            holders=holders,
        )
        self._recovering: asyncio.Task[None] | None = None
        self._slots: list[asyncio.Task[None]] = []

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that run now, newest progress included."""
        return tuple(attempt.job for attempt in self._attempts)

    async def __aenter__(self) -> "Dispatcher":
        self._idle_since = asyncio.get_running_loop().time()
        self._preloading = asyncio.create_task(self._preload(), name="preload")
        self._recovering = asyncio.create_task(self._recover(), name="recovery")
        self._slots = [
            asyncio.create_task(self._serve(), name=f"slot {number}")
            for number in range(self._executor.slots)
        ]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.drain(self._options.shutdown_grace_seconds)

    async def drain(self, grace_seconds: float) -> None:
        """Claim nothing more; let running jobs finish for so long, then give them back to the queue."""
        self._draining.set()
        self._preload_tried.set()
        self._hub.wake()
        for task in (self._preloading, self._recovering):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if not self._slots:
            return
        _, unfinished = await asyncio.wait(self._slots, timeout=grace_seconds)
        for attempt in self._attempts:
            logger.warning("job %s is stopped and goes back to the queue", attempt.job.id)
            attempt.drain()
        if unfinished:
            await asyncio.wait(unfinished)

    async def _preload(self) -> None:
        """Load the default model; jobs wait for the first try alone."""
        model = self._catalogue.default_entry
        pause = 2 * _FIRST_BACKOFF_SECONDS
        while self._options.preload:
            try:
                await self._executor.load(model)
            except (ExecutionFailed, WorkerLost) as error:
                self.preload_error = str(error)
                logger.error("model %s cannot be loaded ahead of its first job: %s", model.name, error)
            else:
                self.preload_error = None
                logger.info("model %s is loaded", model.name)
                break
            finally:
                self._preload_tried.set()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PRELOAD_PAUSE_SECONDS)
        self._preload_tried.set()

    async def _serve(self) -> None:
        """One slot of the executor: claim and run, one job after the other."""
        await self._preload_tried.wait()
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._draining.is_set():
            try:
                await self._serve_one()
                backoff = _FIRST_BACKOFF_SECONDS
                continue
            except DatabaseUnavailable:
                self._note_database(away=True)
            except Exception:
                # A slot that ended here would leave the queue standing still.
                logger.exception("a slot of the dispatcher failed and goes on")
            await self._pause(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)

    async def _serve_one(self) -> None:
        if not self._executor.healthy:
            await self._pause(_WORKER_POLL_SECONDS)
            return
        job = await self._store.claim(self._options.worker, self._options.lease_seconds)
        self._note_database(away=False)
        if job is None:
            await self._hub.wait_for_work(self._options.poll_seconds)
            await self._unload_when_idle()
            return
        if self._draining.is_set():
            self._tell(await self._store.release(job, keep_attempt=False))
            return
        await self._run(job)

    async def _run(self, job: Job) -> None:
        self._hub.publish(job)
        model = self._catalogue.get(job.model)
        if model is None:
            error = JobError(code="model_unavailable", message=f"This service has no model {job.model!r}.")
            self._tell(await self._store.fail(job, error))
            return
        attempt = Attempt(
            job,
            model,
            store=self._store,
            files=self._files,
            executor=self._executor,
            hub=self._hub,
            options=self._attempt_options,
        )
        self._attempts.add(attempt)
        logger.info("job %s starts, attempt %d", job.id, job.attempt)
        try:
            record = await attempt.run()
        finally:
            self._attempts.discard(attempt)
            self._idle_since = asyncio.get_running_loop().time()
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

    async def _unload_when_idle(self) -> None:
        limit = self._options.idle_unload_seconds
        if not limit or self._attempts or not self._executor.loaded_models:
            return
        if asyncio.get_running_loop().time() - self._idle_since < limit:
            return
        try:
            await self._executor.unload()
        except (ExecutionFailed, WorkerLost) as error:
            logger.error("the models cannot be unloaded: %s", error)
        else:
            logger.info("the models are unloaded after %g seconds without a job", limit)

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
