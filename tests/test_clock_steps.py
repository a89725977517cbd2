"""The wall clock steps forth and back while jobs run, with two dispatchers on one database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.job import Job, JobStatus
from services import job_store
from services.job_store import JobStore
from services.mongo import Database
from tests.dispatching import service_on


class Clock:
    """What this process takes for the time: ``utc_now`` asks it, wherever that was imported to."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self, zone: object) -> datetime:
        return datetime.now(UTC) + self.offset


@pytest.mark.parametrize("steps", [(3600, -7200, 3600), (-3600, 7200, -10)])
async def test_a_job_outlives_the_clocks_steps(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
) -> None:
    clock = Clock()
    monkeypatch.setattr(job_store, "datetime", clock)
    gate = tmp_path / "gate"
    store = JobStore(database)
    async with service_on(store, tmp_path / "videos") as one, service_on(store, tmp_path / "videos") as other:
        job_id = await one.queue(f"wait {gate}")
        async with one.dispatcher(worker="one"), other.dispatcher(worker="other"):
            first = await one.running(job_id)
            for seconds in steps:
                clock.offset += timedelta(seconds=seconds)
                before = await one.get(job_id)

                def renewed(job: Job, before: Job = before) -> bool:
                    return is_current(job) and job.write_token != before.write_token

                held = await one.until(job_id, renewed)
                assert (held.lease and held.lease.worker) == (first.lease and first.lease.worker)
            gate.touch()
            job = await one.final(job_id)
            later = await one.final(await one.queue())
    for done in (job, later):
        assert (done.status, done.attempt, done.fence) == (JobStatus.COMPLETED, 1, 1)
        assert all(value >= 0 for value in done.timings.model_dump(exclude_none=True).values())
    average = await store.average_seconds("demo")
    assert average is None or 0 <= average < 3700


def is_current(job: Job) -> bool:
    """Whether its lease was written by the clock of now."""
    assert job.lease is not None
    left = (job.lease.expires_at - job_store.utc_now()).total_seconds()
    return 0 < left <= 2.0


async def test_a_dead_dispatchers_job_is_taken_up_although_the_clock_went_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(job_store, "datetime", clock)
    store = JobStore(database)
    async with service_on(store, tmp_path / "videos") as service:
        job_id = await service.queue()
        assert await store.claim("dead", lease_seconds=2.0) is not None
        clock.offset -= timedelta(hours=1)
        async with service.dispatcher():
            job = await service.final(job_id)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)
