"""Every question that the service asks of its jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from models.job import Job, JobStatus
from services import job_transitions
from services.database_errors import reachable
from services.job_queries import PLACE, SECOND, SORT_ID, JobPage, JobQuery, equal
from services.mongo import Database

AVERAGED_JOBS = 10

Jobs = list[Job]  # the class's own ``list`` hides the builtin
Places = list[str]
Documents = list[dict[str, Any]]
Sort = Sequence[tuple[str, int]]


def utc_now() -> datetime:
    """Now in whole milliseconds: MongoDB keeps no more."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class JobReads:
    """The jobs, to read. Any operation may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._jobs = database.collection("jobs")

    async def get(self, job_id: str, *, owner: str | None = None) -> Job | None:
        """The job, of ``owner`` where one is given."""
        fields = {"_id": job_id} if owner is None else {"_id": job_id, "owner": owner}
        async with reachable():
            document = await self._jobs.find_one(fields)
        return None if document is None else Job.model_validate(document)

    async def list(self, query: JobQuery) -> JobPage:
        """One page, ordered by id, which is the order of time."""
        direction = ASCENDING if query.order == "asc" else DESCENDING
        wanted, jobs = query.limit + 1, Jobs()
        while len(jobs) < wanted:
            batch = await self._find(query.to_filter(), [(SORT_ID, direction)], wanted)
            jobs += filter(query.spans, batch)
            if len(batch) < wanted:
                break
            query = replace(query, after=batch[-1].id)
        return JobPage(jobs[: wanted - 1], has_more=len(jobs) >= wanted)

    async def count_queued(self, *, limit: int, before: str | None = None) -> int:
        """How many jobs wait, but at most ``limit``; only those ahead of the place ``before`` where given."""
        fields: dict[str, Any] = {"status": JobStatus.QUEUED.value}
        if before is not None:
            fields[PLACE] = {"$lt": before}
        async with reachable():
            return len(await self._jobs.find(fields, {"_id": 1}).limit(limit).to_list(limit))

    async def has_queued(self, jobs: int, *, owner: str | None = None) -> bool:
        """Whether so many jobs wait, of ``owner`` where one is given."""
        fields = equal(status=JobStatus.QUEUED.value, owner=owner)
        async with reachable():
            return bool(await self._jobs.find(fields, {"_id": 1}).skip(jobs - 1).limit(1).to_list(1))

    async def queued_places(self, *, limit: int) -> Places:
        """The places of the jobs that wait, next first."""
        async with reachable():
            cursor = self._jobs.find({"status": JobStatus.QUEUED.value}, {PLACE: 1}).sort(PLACE, ASCENDING)
            return [document.get(PLACE, "") for document in await cursor.limit(limit).to_list(limit)]

    async def running(self) -> Jobs:
        """Jobs in progress, whoever runs them."""
        return await self._find({"status": JobStatus.IN_PROGRESS.value}, [(SORT_ID, ASCENDING)], limit=0)

    async def stalled(self, *, limit: int = 100) -> Jobs:
        """Running jobs whose lease has expired by this machine's clock."""
        # Few run at once, so all are read: the embedded server reads every document to compare a time.
        now = utc_now()
        return [job for job in await self.running() if job_transitions.is_stalled(job, now)][:limit]

    async def expired_files(self, *, now: datetime, limit: int = 100) -> Jobs:
        """Completed jobs whose file is past its age."""
        fields = {
            "status": JobStatus.COMPLETED.value,
            "file_expired": False,
            "expires_at": {"$lt": now + SECOND},
        }
        jobs = await self._find(fields, [(SORT_ID, ASCENDING)], limit)
        return [job for job in jobs if job.expires_at is not None and job.expires_at <= now]

    async def completed_oldest_first(self, *, limit: int) -> Jobs:
        """Completed jobs that still have their file."""
        fields = {"status": JobStatus.COMPLETED.value, "file_expired": False}
        return await self._find(fields, [(SORT_ID, ASCENDING)], limit)

    async def oldest(self, *, before: str, after: str | None, limit: int) -> Jobs:
        """Jobs with ids between the two, both exclusive, oldest first, whatever their status."""
        ids = {"$lt": before} if after is None else {"$lt": before, "$gt": after}
        return await self._find({SORT_ID: ids}, [(SORT_ID, ASCENDING)], limit)

    async def unannounced(self, *, limit: int) -> Jobs:
        """Jobs that have ended and whose webhooks are not handed over."""
        async with reachable():
            documents = await self._jobs.find({"webhooks_due": True}).limit(limit).to_list(limit)
        return [Job.model_validate(document) for document in documents]

    async def id_of_newest(self, rank: int) -> str | None:
        """The id of the job that so many are newer than; None when there are fewer."""
        async with reachable():
            cursor = self._jobs.find({}, {SORT_ID: 1}).sort(SORT_ID, DESCENDING).skip(rank).limit(1)
            found = await cursor.to_list(1)
        return found[0]["_id"] if found else None

    async def average_seconds(self, model: str) -> float | None:
        """How long the model's last few jobs took from start to end; None when there were none."""
        fields = equal(model=model, status=JobStatus.COMPLETED.value)
        jobs = await self._find(fields, [(SORT_ID, DESCENDING)], AVERAGED_JOBS)
        seconds = [
            (job.completed_at - job.started_at).total_seconds()
            for job in jobs
            if job.completed_at is not None
            and job.started_at is not None
            and job.completed_at >= job.started_at  # else a clock has stepped
        ]
        return sum(seconds) / len(seconds) if seconds else None

    async def _find(self, fields: Mapping[str, Any], sort: Sort, limit: int) -> Jobs:
        return [Job.model_validate(document) for document in await self._documents(fields, sort, limit)]

    async def _documents(self, fields: Mapping[str, Any], sort: Sort, limit: int) -> Documents:
        async with reachable():
            return await self._jobs.find(fields).sort(sort).limit(limit).to_list(limit or None)
