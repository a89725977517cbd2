"""One attempt on a real store and worker: what becomes of an outcome whose record is in doubt."""

from pathlib import Path
from typing import Any

import pytest

from models.job import Job, JobStatus
from models.video import Video
from services.file_store import FileStore
from services.job_store import DatabaseUnavailable, JobStore
from services.mongo import Database
from tests.dispatching import service_on


class SilentStore(JobStore):
    """Its connection breaks after the first end of a job was written, before the answer is heard."""

    def __init__(self, database: Database, method: str) -> None:
        super().__init__(database)
        self._end = getattr(super(), method)
        setattr(self, method, self._lost)
        self.losses = 0

    async def _lost(self, *args: Any, **kwargs: Any) -> Job | None:
        record: Job | None = await self._end(*args, **kwargs)
        if not self.losses:
            self.losses += 1
            raise DatabaseUnavailable
        return record


async def test_a_clip_whose_record_was_in_doubt_is_kept(database: Database, tmp_path: Path) -> None:
    store = SilentStore(database, "complete")
    observed: list[Job] = []
    async with service_on(store, tmp_path / "videos") as service:
        job_id = await service.queue()
        async with service.dispatcher(observed.append):
            job = await service.final(job_id)
    assert store.losses == 1
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
    assert service.files.video_path(job.id, job.fence).exists()
    assert observed == [job]


@pytest.mark.parametrize(
    ("method", "prompt", "status"),
    [
        ("fail", "refuse out_of_memory", JobStatus.FAILED),
        ("finish_cancelled", "pace 0.01", JobStatus.CANCELLED),
    ],
)
async def test_an_end_in_doubt_is_told(
    database: Database, tmp_path: Path, method: str, prompt: str, status: JobStatus
) -> None:
    store = SilentStore(database, method)
    observed: list[Job] = []
    async with service_on(store, tmp_path / "videos") as service:
        job_id = await service.queue(prompt, steps=3 if status is JobStatus.FAILED else 10_000)
        async with service.dispatcher(observed.append):
            if status is JobStatus.CANCELLED:
                await service.running(job_id)
                await store.request_cancel(job_id)
            job = await service.final(job_id)
    assert store.losses == 1
    assert job.status is status
    assert observed == [job]


class BrokenFiles(FileStore):
    """Fails as no file store should."""

    def publish(self, job_id: str, fence: int, video: bytes, thumbnail: bytes) -> Video:
        raise RuntimeError("no such thing was thought of")


async def test_a_clip_that_cannot_be_stored_fails_its_job_at_once(database: Database, tmp_path: Path) -> None:
    """It was left to its lease, once for each attempt, and ended as `worker_lost`."""
    async with service_on(JobStore(database), tmp_path / "videos") as service:
        files = BrokenFiles(tmp_path / "videos", 10**8)
        job_id = await service.queue()
        async with service.dispatcher(files=files):
            job = await service.final(job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert (job.error.code, job.attempt) == ("internal_error", 1)
    assert "thought" not in job.error.message
