"""One attempt at one job: generate, keep the lease, record what became of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from models.job import Job, JobError, JobProgress, JobStatus
from models.video import Video
from services.events import EventHub, Preview
from services.execution.executor import ExecutionFailed, Executor, WorkerLost, WorkerUnavailable
from services.execution.messages import Completed, GenerationRequest, News, Progress, Started
from services.file_store import FileStore, InvalidVideo, StorageFull
from services.job_store import DatabaseUnavailable, JobStore, utc_now
from services.outlook import Outlook

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
"""How often the record is looked at, and the newest progress written, while a job runs."""

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 2.0


@dataclass(frozen=True)
class AttemptOptions:
    lease_seconds: float
    max_attempts: int
    job_timeout_seconds: float
    video_ttl: timedelta


class _Stop(Enum):
    """Why a generation was stopped before its end."""

    CANCELLED = auto()
    LOST = auto()
    TIMEOUT = auto()
    DRAINED = auto()


class Attempt:
    """Runs a claimed job to a record of its outcome; the lease is renewed all the while.

    The generation never waits for the database: a slow one only makes the recorded progress older.

    Args:
        outlook: Told what the worker tells.
        on_change: Called whenever the device may be free of the job sooner than it seemed.
    """

    def __init__(
        self,
        job: Job,
        request: GenerationRequest,
        *,
        outlook: Outlook,
        on_change: Callable[[], None],
        store: JobStore,
        files: FileStore,
        executor: Executor,
        hub: EventHub,
        options: AttemptOptions,
    ) -> None:
        self.job = job
        self.outlook = outlook
        self._request = request
        self._on_change = on_change
        self._store = store
        self._files = files
        self._executor = executor
        self._hub = hub
        self._options = options
        self._recorded_progress = job.progress
        self._stop: _Stop | None = None
        self._generation: asyncio.Task[Completed] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._draining = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether the worker has taken the job up."""
        return self._deadline is not None

    async def run(self) -> Job | None:
        """The record afterwards: final, or queued again. None when the job was no longer ours.

        Raises:
            DatabaseUnavailable: only after ``drain``; the outcome is not recorded.
        """
        with self._hub.cancellations(self.job.id) as cancel_requested:
            self._generation = asyncio.create_task(self._executor.run(self._request, self._on_news))
            if self._stop is not None:
                self._generation.cancel()
            watch = asyncio.create_task(self._watch(cancel_requested))
            try:
                await self._await_end(self._generation, watch)
                return await self._finish(self._generation)
            finally:
                self._end_outlook()
                self._hub.hide(self.job.id)
                self._generation.cancel()
                watch.cancel()
                await asyncio.wait({self._generation, watch})

    def give_back(self) -> None:
        """Stop; the job goes back to the queue as if it had not been claimed."""
        self._end_generation(_Stop.DRAINED)

    def drain(self) -> None:
        """Give the job back, and wait for the database no longer."""
        self._draining.set()
        self.give_back()

    def _end_generation(self, reason: _Stop) -> None:
        if self._stop is None and (self._generation is None or not self._generation.done()):
            logger.info("job %s is stopped: %s", self.job.id, reason.name.lower())
            self._stop = reason
            if self._generation is not None:
                self._generation.cancel()

    def _end_outlook(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.outlook.end()
        self._on_change()

    def _on_news(self, news: News) -> None:
        self.outlook.hear(news)
        match news:
            case Started():
                # Waiting behind another clip is no part of the attempt.
                limit = self._options.job_timeout_seconds
                loop = asyncio.get_running_loop()
                self._deadline = loop.call_later(limit, self._end_generation, _Stop.TIMEOUT)
            case Progress():
                self._on_progress(news)
        self._on_change()

    def _on_progress(self, progress: Progress) -> None:
        percent = round(100 * progress.step / progress.total, 1) if progress.total else 0.0
        self.job = self.job.model_copy(
            update={"progress": JobProgress(step=progress.step, total=progress.total, percent=percent)}
        )
        if progress.preview is not None:
            self._hub.show(self.job.id, Preview(progress.step, progress.preview))
        self._hub.publish(self.job)

    async def _watch(self, cancel_requested: asyncio.Event) -> None:
        """Renew the lease, write the newest progress and look for a cancellation, until the job is lost."""
        lease_seconds = self._options.lease_seconds
        interval = min(WATCH_SECONDS, lease_seconds / 4)
        clock = asyncio.get_running_loop().time
        renewed_at = clock()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await cancel_requested.wait()
            cancel_requested.clear()
            now, progress = clock(), self.job.progress
            try:
                if progress is not self._recorded_progress or now - renewed_at >= lease_seconds / 4:
                    fresh = await self._store.renew(self.job, lease_seconds, progress)
                    self._recorded_progress, renewed_at = progress, now
                else:
                    fresh = await self._store.get(self.job.id)
            except DatabaseUnavailable:
                logger.warning("job %s runs on while the database is away", self.job.id)
                continue
            if fresh is None or not self._is_ours(fresh):
                self._end_generation(_Stop.LOST)
                return
            # Steps may have been made since the record was read.
            self.job = fresh.model_copy(update={"progress": self.job.progress})
            if fresh.cancel_requested:
                self._end_generation(_Stop.CANCELLED)

    def _is_ours(self, record: Job) -> bool:
        return record.status is JobStatus.IN_PROGRESS and record.fence == self.job.fence

    async def _await_end(self, generation: asyncio.Task[Completed], watch: asyncio.Task[None]) -> None:
        await asyncio.wait({generation, watch}, return_when=asyncio.FIRST_COMPLETED)
        if watch.done():
            watch.result()
        await asyncio.wait({generation})
        self._end_outlook()

    async def _finish(self, generation: asyncio.Task[Completed]) -> Job | None:
        if self._stop is _Stop.LOST:
            return None
        if generation.cancelled():
            return await self._finish_stopped()
        match generation.exception():
            case None:
                return await self._complete(generation.result())
            case ExecutionFailed(code=code, message=message):
                return await self._fail(code, message)
            case WorkerUnavailable() as error:
                logger.error("job %s goes back to the queue: %s", self.job.id, error)
                return await self._release(keep_attempt=False)
            case WorkerLost() as error:
                logger.error("job %s, attempt %d: %s", self.job.id, self.job.attempt, error)
                return await self._retry_or_fail("worker_lost", "The worker was lost while making this clip.")
            case error:
                logger.error("job %s failed unexpectedly", self.job.id, exc_info=error)
                return await self._fail("internal_error", "The generation failed unexpectedly.")

    async def _finish_stopped(self) -> Job | None:
        if self._stop is _Stop.CANCELLED or self.job.cancel_requested:
            return await self._record(self._store.finish_cancelled, JobStatus.CANCELLED)
        if self._stop is _Stop.TIMEOUT:
            limit = self._options.job_timeout_seconds
            return await self._retry_or_fail("timeout", f"The clip was not done within {limit:g} seconds.")
        return await self._release(keep_attempt=False)

    async def _complete(self, completed: Completed) -> Job | None:
        job_id, fence = self.job.id, self.job.fence
        try:
            video = await asyncio.to_thread(
                self._files.publish, job_id, fence, completed.video, completed.thumbnail
            )
        except StorageFull:
            logger.exception("job %s: no room for its clip", job_id)
            return await self._fail("storage_full", "There is no room left to store the clip.")
        except InvalidVideo:
            logger.exception("job %s: the encoded clip is refused", job_id)
            return await self._fail("encoding_failed", "The clip could not be encoded.")
        except Exception:
            # Else nobody would end the job before its lease has run out, and then again in its next attempt.
            logger.exception("job %s: the clip cannot be stored", job_id)
            return await self._fail("internal_error", "The clip could not be stored.")
        record = await self._record(
            lambda job: self._write_completed(job, completed, video), JobStatus.COMPLETED
        )
        if record is None:
            await asyncio.to_thread(self._files.delete, job_id, fence)
            # Refused: a cancellation came first, or the job is another's. Only the first lets this match.
            record = await self._record(self._store.finish_cancelled, JobStatus.CANCELLED)
        return record

    async def _write_completed(self, job: Job, completed: Completed, video: Video) -> Job | None:
        return await self._store.complete(
            job,
            video=video,
            timings=completed.timings.model_copy(update={"queued": job.timings.queued}),
            expires_at=utc_now() + self._options.video_ttl,
            prompt_truncated=completed.prompt_truncated,
            dropped_text=completed.dropped_text,
            unknown_words=completed.unknown_words,
        )

    async def _retry_or_fail(self, code: str, message: str) -> Job | None:
        if self.job.attempt >= self._options.max_attempts:
            return await self._fail(code, message)
        return await self._release(keep_attempt=True)

    async def _release(self, *, keep_attempt: bool) -> Job | None:
        return await self._record(
            lambda job: self._store.release(job, keep_attempt=keep_attempt), JobStatus.QUEUED
        )

    async def _fail(self, code: str, message: str) -> Job | None:
        error = JobError(code=code, message=message)
        return await self._record(lambda job: self._store.fail(job, error), JobStatus.FAILED)

    async def _record(self, write: Callable[[Job], Awaitable[Job | None]], outcome: JobStatus) -> Job | None:
        """Write the outcome, waiting for the database as long as it takes, or until the service stops."""
        pause = _FIRST_BACKOFF_SECONDS
        in_doubt = False
        while True:
            try:
                record = await write(self.job)
                return await self._as_written(outcome) if record is None and in_doubt else record
            except DatabaseUnavailable:
                in_doubt = True
                if self._draining.is_set():
                    raise
                logger.warning("job %s: its outcome waits for the database", self.job.id)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._draining.wait()
            pause = min(2 * pause, _LONGEST_BACKOFF_SECONDS)

    async def _as_written(self, outcome: JobStatus) -> Job | None:
        """The record, where an earlier write of ``outcome`` arrived although its answer did not."""
        record = await self._store.get(self.job.id)
        # No other claim has this fence.
        is_ours = record is not None and record.fence == self.job.fence and record.status is outcome
        return record if is_ours else None
