"""Sweeps over a real store and real files."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from models.job import Job, JobStatus, Timings
from services.file_store import FileStore
from services.janitor import Janitor, JanitorOptions, Swept
from services.job_store import JobQuery, JobStore, utc_now
from services.mongo import Database
from tests.clips import make_clip
from tests.jobs import queued_job
from tests.waiting import eventually

AT_ONCE = JanitorOptions(interval_seconds=0.05, audit_seconds=0.05, leftover_seconds=0)


class Tmp:
    """A store of clips and their records."""

    def __init__(self, store: JobStore, files: FileStore) -> None:
        self.store = store
        self.files = files
        self.clip = make_clip(frames=2)

    def janitor(self, budget_bytes: int | None = None, options: JanitorOptions = AT_ONCE) -> Janitor:
        files = self.files if budget_bytes is None else FileStore(self.folder, budget_bytes)
        return Janitor(self.store, files, options)

    @property
    def folder(self) -> Path:
        return self.files.video_path("video_1", 1).parent

    async def claimed(self) -> Job:
        await self.store.insert(queued_job())
        job = await self.store.claim("tester", lease_seconds=60)
        assert job is not None
        return job

    async def completed(self, expires_in: timedelta = timedelta(days=1)) -> Job:
        job = await self.claimed()
        video = self.files.publish(job.id, job.fence, self.clip, b"thumbnail")
        done = await self.store.complete(
            job, video=video, timings=Timings(), expires_at=utc_now() + expires_in
        )
        assert done is not None
        return done

    async def has_clip(self, job: Job) -> bool:
        """Whether the record says so; the files have to agree."""
        record = await self.store.get(job.id)
        assert record is not None
        here = self.files.video_path(job.id, job.fence).exists()
        assert here == self.files.thumbnail_path(job.id, job.fence).exists()
        assert here is not record.file_expired
        assert record.status is JobStatus.COMPLETED
        return here


@pytest.fixture
async def tmp(database: Database, tmp_path: Path) -> Tmp:
    store = JobStore(database)
    await store.create_indexes()
    return Tmp(store, FileStore(tmp_path / "videos", 10**8))


async def test_a_clip_goes_at_its_age_and_its_record_stays(tmp: Tmp) -> None:
    old, young = await tmp.completed(timedelta(seconds=-1)), await tmp.completed()
    assert await tmp.janitor().sweep() == Swept(expired=1)
    assert not await tmp.has_clip(old)
    assert await tmp.has_clip(young)
    assert await tmp.janitor().sweep() == Swept()


async def test_past_the_budget_the_oldest_go_first(tmp: Tmp) -> None:
    jobs = [await tmp.completed() for _ in range(4)]
    budget = int(2.5 * (len(tmp.clip) + len(b"thumbnail")))
    assert await tmp.janitor(budget).sweep() == Swept(evicted=2)
    assert [await tmp.has_clip(job) for job in jobs] == [False, False, True, True]


async def test_a_budget_that_unnamed_files_break_ends_the_sweep(tmp: Tmp) -> None:
    (tmp.folder / "video_1.1.mp4").write_bytes(tmp.clip)
    assert await tmp.janitor(budget_bytes=10).sweep() == Swept()


async def test_unfinished_files_go_when_old(tmp: Tmp) -> None:
    young, old = tmp.folder / "video_1.1.mp4.part", tmp.folder / "video_2.1.mp4.part"
    for part in (young, old):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    assert await tmp.janitor(options=JanitorOptions()).sweep() == Swept(parts=1)
    assert young.exists()
    assert not old.exists()


async def test_idempotency_keys_are_forgotten_after_a_day(tmp: Tmp) -> None:
    await tmp.store.idempotency_keys.reserve("tester", "key", "fingerprint", "video_1")
    assert await tmp.janitor().sweep() == Swept()
    overdue = JanitorOptions(idempotency_key_ttl=timedelta(seconds=-1))
    assert await tmp.janitor(options=overdue).sweep() == Swept(keys=1)


async def test_records_go_past_their_age_by_their_end(tmp: Tmp) -> None:
    old = [await tmp.completed() for _ in range(3)]
    await eventually(lambda: utc_now() - (old[-1].completed_at or utc_now()) > timedelta(milliseconds=50))
    horizon = utc_now()
    waiting = await tmp.store.insert(queued_job(created_at=horizon - timedelta(days=9)))
    young = await tmp.store.request_cancel(waiting.id)
    await tmp.store.insert(queued_job())
    options = JanitorOptions(history_age=utc_now() - horizon + timedelta(milliseconds=25))
    assert await tmp.janitor(options=options).sweep() == Swept(records=3)
    assert [await tmp.store.get(job.id) for job in old] == [None] * 3
    assert not list(tmp.files.stored())
    assert young is not None
    assert await tmp.store.get(young.id) == young


async def test_records_go_past_their_number_oldest_first(tmp: Tmp) -> None:
    running = await tmp.claimed()
    jobs = [await tmp.completed() for _ in range(4)]
    janitor = tmp.janitor(options=JanitorOptions(history_max=2))
    assert await janitor.sweep() == Swept(records=2)
    kept = [job.id for job in (await tmp.store.list(JobQuery(order="asc"))).jobs]
    assert kept == [running.id, jobs[2].id, jobs[3].id]
    assert {clip.job_id for clip in tmp.files.stored()} == {jobs[2].id, jobs[3].id}
    assert await janitor.sweep() == Swept()


async def test_a_history_of_many_pages_is_cut(tmp: Tmp) -> None:
    for _ in range(205):
        await tmp.store.insert(queued_job(status=JobStatus.FAILED, completed_at=utc_now()))
    assert await tmp.janitor(options=JanitorOptions(history_max=1)).sweep() == Swept(records=204)


async def test_files_that_no_record_names_go(tmp: Tmp) -> None:
    kept, running = await tmp.completed(), await tmp.claimed()
    tmp.files.publish(running.id, running.fence, tmp.clip, b"")
    tmp.files.publish(kept.id, kept.fence + 1, tmp.clip, b"")
    tmp.files.publish("video_gone", 1, tmp.clip, b"")
    failed = await tmp.claimed()
    tmp.files.publish(failed.id, failed.fence, tmp.clip, b"")
    assert await tmp.store.finish_cancelled(failed) is not None
    assert await tmp.janitor(options=JanitorOptions()).audit() == Swept()  # all are too young to judge
    before = {(file.job_id, file.fence) for file in tmp.files.stored()}
    assert len(before) == 5
    assert await tmp.janitor(options=JanitorOptions(leftover_seconds=-1)).audit() == Swept(orphans=3)
    after = {(file.job_id, file.fence) for file in tmp.files.stored()}
    assert after == {(kept.id, kept.fence), (running.id, running.fence)}


async def test_a_record_whose_clip_has_disappeared_says_so(tmp: Tmp) -> None:
    lost, kept = await tmp.completed(), await tmp.completed()
    tmp.files.video_path(lost.id, lost.fence).unlink()
    assert await tmp.janitor(options=JanitorOptions()).audit() == Swept(missing=1)
    assert not await tmp.has_clip(lost)
    assert await tmp.has_clip(kept)


async def test_it_sweeps_by_itself(tmp: Tmp) -> None:
    async with tmp.janitor():
        old = await tmp.completed(timedelta(seconds=-1))
        tmp.files.publish("video_gone", 1, tmp.clip, b"")
        await eventually(lambda: not list(tmp.files.stored()))
    assert not await tmp.has_clip(old)
