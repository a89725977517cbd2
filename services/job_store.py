"""The jobs in MongoDB: born, claimed, changed, deleted."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from models.job import Job, JobError, JobProgress, JobStatus, Timings
from models.video import Video
from services import job_transitions
from services.database_errors import DatabaseUnavailable, reachable, until_certain
from services.idempotency_keys import IdempotencyKeys
from services.ids import new_ulid, new_write_token
from services.job_changes import change_job
from services.job_queries import BORN_AS, INDEXES, PLACE, SORT_ID, JobPage, JobQuery
from services.job_reads import JobReads, utc_now
from services.mongo import Database
from services.turns import Turns
from services.webhook_store import WebhookStore

__all__ = [
    "DatabaseUnavailable",
    "DuplicateJob",
    "JobPage",
    "JobQuery",
    "JobStore",
    "new_job_id",
    "utc_now",
]

logger = logging.getLogger(__name__)

CANDIDATES = 10
EMBEDDED_SERVER_JOBS = 100_000
FINAL = [status.value for status in JobStatus if status.is_final]


class DuplicateJob(Exception):
    """Another job has this id."""


def new_job_id() -> str:
    """``video_`` + ULID; within a process each is greater than the one before."""
    return f"video_{new_ulid()}"


class JobStore(JobReads):
    """The jobs. Any operation may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._turns = Turns(database)
        self.idempotency_keys = IdempotencyKeys(database)
        self.webhooks = WebhookStore(database)

    async def create_indexes(self) -> None:
        """Create what is missing; say so when the embedded server holds more than it serves quickly."""
        async with reachable():
            await self._jobs.create_indexes(INDEXES)
        await self.idempotency_keys.create_indexes()
        await self.webhooks.create_indexes()
        if self._database.is_embedded and await self._has_more_than(EMBEDDED_SERVER_JOBS):
            logger.warning(
                "The embedded database holds more than %d jobs and answers slowly; set MONGO_URI",
                EMBEDDED_SERVER_JOBS,
            )

    async def _has_more_than(self, jobs: int) -> bool:
        async with reachable():
            return bool(await self._jobs.find({}, {"_id": 1}).skip(jobs).limit(1).to_list(1))

    async def ping(self) -> None:
        async with reachable():
            await self._database.motor.command("ping")

    # Inserting and deleting

    async def insert(self, job: Job) -> Job:
        """Store a new job at the end of its owner's line. From then on it survives a crash of the server.

        Returns:
            The job with its place in the queue.

        Raises:
            DuplicateJob: its id is taken.
        """
        if job.status is not JobStatus.QUEUED:
            await self._insert(job)
            return job
        while True:
            async with self._turns.next(job) as placed:
                if await self._insert(placed):
                    return placed

    async def _insert(self, job: Job) -> bool:
        """False when another process has taken the job's seat. Raises DuplicateJob."""
        token = new_write_token()
        document = job.to_document() | {"write_token": token, BORN_AS: token, SORT_ID: job.id}

        async def attempt(in_doubt: bool) -> bool:
            try:
                await self._jobs.insert_one(document)
            except DuplicateKeyError as error:
                stored = await self._jobs.find_one({"_id": job.id})
                if stored is None:
                    return False
                # It may have been claimed since: its write_token then is another.
                if not in_doubt or stored.get(BORN_AS) != token:
                    raise DuplicateJob(job.id) from error
            return True

        return await until_certain(attempt)

    async def delete(self, job_id: str, *, owner: str | None = None) -> bool:
        """Remove the record of a final job and its webhooks' deliveries; False when there is none."""
        fields: dict[str, Any] = {"_id": job_id, "status": {"$in": FINAL}}
        if owner is not None:
            fields["owner"] = owner
        async with reachable():
            if await self._jobs.find_one(fields, {"_id": 1}) is None:
                return False
        # First: no delivery outlives its job, but for one in the making, which finds the job gone.
        await self.webhooks.delete_of(job_id)

        async def attempt(in_doubt: bool) -> bool:
            if (await self._jobs.delete_one(fields)).deleted_count:
                return True
            return in_doubt and await self._jobs.find_one({"_id": job_id}) is None

        return await until_certain(attempt)

    # Transitions

    async def claim(self, worker: str, lease_seconds: float) -> Job | None:
        """Take the job whose turn it is; None when nothing waits."""
        claimed = await self.claim_together(worker, lease_seconds, lambda claimed, job: False)
        return claimed[0] if claimed else None

    async def claim_together(
        self, worker: str, lease_seconds: float, joins: Callable[[list[Job], Job], bool]
    ) -> list[Job]:
        """Take the job whose turn it is, and those right behind it; none when nothing waits.

        Args:
            joins: Whether a job is taken besides those taken already. The first that does not join ends the
                row, so that nobody is overtaken.
        """
        queued = {"status": JobStatus.QUEUED.value}
        claimed: list[Job] = []
        try:
            while not claimed and (
                candidates := await self._documents(queued, [(PLACE, ASCENDING)], CANDIDATES)
            ):
                for candidate in candidates:
                    job = Job.model_validate(candidate)
                    if claimed and not joins(claimed, job):
                        break
                    taken = await self._claim(job, candidate, worker, lease_seconds)
                    if taken is not None:
                        claimed.append(taken)
        except DatabaseUnavailable:
            if not claimed:
                raise
            logger.warning("the database went away in the middle of a claim: %d jobs are taken", len(claimed))
        return claimed

    async def _claim(
        self, job: Job, document: Mapping[str, Any], worker: str, lease_seconds: float
    ) -> Job | None:
        """None when another was first."""
        # Before the claim: were it after, a failure in between would leave a job that nobody runs.
        await self._turns.advance(job)
        token = new_write_token()

        def change(job: Job) -> Job | None:
            return job_transitions.claimed(
                job, worker=worker, token=token, lease_seconds=lease_seconds, now=utc_now()
            )

        return await change_job(self._jobs, job.id, change, seen=document)

    async def renew(self, job: Job, lease_seconds: float, progress: JobProgress | None = None) -> Job | None:
        """Keep the lease; returns the fresh record, or None when the job is no longer ours."""
        return await change_job(
            self._jobs,
            job.id,
            lambda current: job_transitions.renewed(
                current, job, lease_seconds=lease_seconds, progress=progress, now=utc_now()
            ),
        )

    async def complete(
        self,
        job: Job,
        *,
        video: Video,
        timings: Timings,
        expires_at: datetime,
        prompt_truncated: bool = False,
        dropped_text: str | None = None,
        unknown_words: Sequence[str] = (),
    ) -> Job | None:
        """in_progress → completed; None when the job is no longer ours or is to be cancelled."""
        return await change_job(
            self._jobs,
            job.id,
            lambda current: job_transitions.completed(
                current,
                job,
                video=video,
                timings=timings,
                expires_at=expires_at,
                prompt_truncated=prompt_truncated,
                dropped_text=dropped_text,
                unknown_words=unknown_words,
                now=utc_now(),
            ),
        )

    async def fail(self, job: Job, error: JobError) -> Job | None:
        """in_progress → failed; None when the job is no longer ours."""
        return await change_job(
            self._jobs,
            job.id,
            lambda current: job_transitions.failed(current, job, error=error, now=utc_now()),
        )

    async def finish_cancelled(self, job: Job) -> Job | None:
        """in_progress → cancelled; None when the job is no longer ours."""
        return await change_job(
            self._jobs, job.id, lambda current: job_transitions.cancelled(current, job, now=utc_now())
        )

    async def release(self, job: Job, *, keep_attempt: bool) -> Job | None:
        """in_progress → queued (cancelled where that was asked for); None when the job is no longer ours.

        Without ``keep_attempt`` the attempt does not count.
        """
        return await change_job(
            self._jobs,
            job.id,
            lambda current: job_transitions.released(current, job, keep_attempt=keep_attempt, now=utc_now()),
        )

    async def request_cancel(self, job_id: str, *, owner: str | None = None) -> Job | None:
        """queued → cancelled; in_progress is marked; final stays. None: no such job of the owner."""

        def change(job: Job) -> Job | None:
            if owner is not None and job.owner != owner:
                return None
            return job_transitions.cancel_requested(job, now=utc_now())

        return await change_job(self._jobs, job_id, change)

    async def recover(self, job: Job, max_attempts: int, *, holder_is_gone: bool = False) -> Job | None:
        """A stalled job → cancelled, queued again or failed; None when it is not stalled any more.

        With ``holder_is_gone`` so is one whose lease runs, unless its record has changed since it was read.
        """
        return await change_job(
            self._jobs,
            job.id,
            lambda current: job_transitions.recovered(
                current, job, max_attempts=max_attempts, holder_is_gone=holder_is_gone, now=utc_now()
            ),
        )

    async def mark_file_expired(self, job: Job) -> Job | None:
        """The clip's file is gone. None: no such completed job."""
        return await change_job(self._jobs, job.id, job_transitions.file_expired)

    async def mark_announced(self, job: Job) -> Job | None:
        """The deliveries of its webhooks are made. None: no such ended job."""
        return await change_job(self._jobs, job.id, job_transitions.announced)
