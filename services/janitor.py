"""Keeps the file store and its records true to each other: age limit, disk budget, leftovers."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.job import Job, JobStatus
from services.file_store import FileStore
from services.ids import ulid_of
from services.job_store import DatabaseUnavailable, JobQuery, JobStore, utc_now
from services.store_binding import StoreBinding

logger = logging.getLogger(__name__)

_PAGE = 100


@dataclass(frozen=True)
class JanitorOptions:
    """How often, and how old.

    Attributes:
        interval_seconds: Between sweeps for age, budget and old idempotency keys.
        audit_seconds: Between comparisons of every file with its record, which read the whole history.
        leftover_seconds: Age below which no file without a record, or unfinished, is touched.
        idempotency_key_ttl: Age at which a key is forgotten.
        history_age: Age of an ended job, by its end, at which its record goes too; None keeps it.
        history_max: Jobs whose records are kept, newest first; None keeps all. Those that wait or run stay.
    """

    interval_seconds: float = 60.0
    audit_seconds: float = 3600.0
    leftover_seconds: float = 600.0
    idempotency_key_ttl: timedelta = timedelta(hours=24)
    history_age: timedelta | None = None
    history_max: int | None = None


@dataclass(frozen=True)
class Swept:
    """How much one pass has cleared away."""

    expired: int = 0
    evicted: int = 0
    parts: int = 0
    keys: int = 0
    records: int = 0
    orphans: int = 0
    missing: int = 0


class Janitor:
    """Sweeps while its ``async with`` block runs.

    Args:
        binding: Says whether files and records belong together; without it they are taken to.
    """

    def __init__(
        self,
        store: JobStore,
        files: FileStore,
        options: JanitorOptions | None = None,
        binding: StoreBinding | None = None,
    ) -> None:
        self._store = store
        self._binding = binding
        self._files = files
        self._options = options or JanitorOptions()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Janitor":
        self._task = asyncio.create_task(self._run(), name="janitor")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def sweep(self) -> Swept:
        """Delete what is too old, over the budget, unfinished or forgotten. Raises DatabaseUnavailable."""
        parts = await asyncio.to_thread(self._files.sweep_parts, self._options.leftover_seconds)
        keys = await self._store.idempotency_keys.purge(utc_now() - self._options.idempotency_key_ttl)
        records = await self._forget_records()
        return Swept(
            expired=await self._expire(),
            evicted=await self._evict(),
            parts=parts,
            keys=keys,
            records=records,
        )

    async def audit(self) -> Swept:
        """Compare files and records: files that no record names go, records without a file say so.

        Raises DatabaseUnavailable.
        """
        if self._binding is not None and not await self._binding.holds():
            return Swept()
        return Swept(orphans=await self._delete_orphans(), missing=await self._mark_missing())

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        audited_at: float | None = None
        while True:
            try:
                swept = await self.sweep()
                if audited_at is None or clock() - audited_at >= self._options.audit_seconds:
                    audit = await self.audit()
                    audited_at = clock()
                    swept = replace(swept, orphans=audit.orphans, missing=audit.missing)
                if swept != Swept():
                    logger.info("cleared away: %s", swept)
            except DatabaseUnavailable:
                logger.warning("the database is away: nothing is cleared away until it is back")
            except Exception:
                # One bad file or record must not end the sweeps for good.
                logger.exception("a sweep failed; the next one tries again")
            await asyncio.sleep(self._options.interval_seconds)

    async def _forget_records(self) -> int:
        """The oldest ended jobs, past the age or the number that is kept, with their files."""
        count = 0
        if self._options.history_age is not None:
            horizon = utc_now() - self._options.history_age
            count += await self._forget_before(f"video_{ulid_of(horizon)}", ended_by=horizon)
        if self._options.history_max is not None:
            kept = await self._store.id_of_newest(self._options.history_max - 1)
            count += await self._forget_before(kept) if kept is not None else 0
        return count

    async def _forget_before(self, job_id: str, ended_by: datetime | None = None) -> int:
        count, last = 0, None
        while jobs := await self._store.oldest(before=job_id, after=last, limit=_PAGE):
            for job in jobs:
                in_time = ended_by is None or (job.completed_at is not None and job.completed_at <= ended_by)
                if job.status.is_final and in_time and await self._store.delete(job.id):
                    await asyncio.to_thread(self._files.delete, job.id)
                    count += 1
            last = jobs[-1].id
        return count

    async def _expire(self) -> int:
        count = 0
        while jobs := await self._store.expired_files(now=utc_now(), limit=_PAGE):
            for job in jobs:
                await self._forget_file(job)
            count += len(jobs)
        return count

    async def _evict(self) -> int:
        """Oldest first, until the store is within its budget."""
        count = 0
        while (used := await asyncio.to_thread(self._files.used_bytes)) > self._files.budget_bytes:
            jobs = await self._store.completed_oldest_first(limit=_PAGE)
            if not jobs:
                logger.warning("%d bytes are over the budget, and no record names them", used)
                break
            for job in jobs:
                if used <= self._files.budget_bytes:
                    break
                await self._forget_file(job)
                used -= job.video.size_bytes if job.video is not None else 0
                count += 1
        return count

    async def _forget_file(self, job: Job) -> None:
        # The record first: a crash in between leaves an orphan for the audit, not a record without its file.
        await self._store.mark_file_expired(job)
        await asyncio.to_thread(self._files.delete, job.id, job.fence)

    async def _delete_orphans(self) -> int:
        before = utc_now().timestamp() - self._options.leftover_seconds
        clips = await asyncio.to_thread(
            lambda: {(file.job_id, file.fence) for file in self._files.stored() if file.modified < before}
        )
        count = 0
        for job_id, fence in sorted(clips):
            record = await self._store.get(job_id)
            if record is None or not _names_file(record, fence):
                await asyncio.to_thread(self._files.delete, job_id, fence)
                count += 1
        return count

    async def _mark_missing(self) -> int:
        count, last = 0, None
        while True:
            query = JobQuery(status=JobStatus.COMPLETED, order="asc", after=last, limit=_PAGE)
            page = await self._store.list(query)
            for job in page.jobs:
                path = self._files.video_path(job.id, job.fence)
                if not job.file_expired and not await asyncio.to_thread(path.exists):
                    logger.error("the clip of job %s has disappeared", job.id)
                    await self._forget_file(job)
                    count += 1
            if not page.has_more:
                return count
            last = page.jobs[-1].id


def _names_file(record: Job, fence: int) -> bool:
    """Whether the record serves, or is about to serve, the file of this fence."""
    if record.fence != fence:
        return False
    if record.status is JobStatus.COMPLETED:
        return not record.file_expired
    return record.status is JobStatus.IN_PROGRESS
