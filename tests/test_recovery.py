"""Which jobs are taken up, when the holder is dead, silent, or when clocks are wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from models.job import Job, JobStatus
from services import job_store
from services.holder_lock import HolderLock
from services.job_store import DatabaseUnavailable, JobStore, utc_now
from services.mongo import Database, connect, free_port
from services.recovery import Recovery
from tests.jobs import queued_job
from tests.test_holder_lock import name_of, other_holder
from tests.waiting import eventually

NEVER = 3600.0


class Taken:
    """A recovery and what it has told of."""

    def __init__(
        self, store: JobStore, lease_seconds: float, ours: str = "", holders: HolderLock | None = None
    ) -> None:
        self.records: list[Job] = []
        self.recovery = Recovery(
            store,
            lease_seconds=lease_seconds,
            max_attempts=3,
            is_ours=lambda job: job.lease is not None and job.lease.worker == ours,
            tell=self.records.append,
            holders=holders,
        )

    async def sweep(self) -> list[Job]:
        await self.recovery.sweep()
        return self.records


@pytest.fixture
async def store(database: Database) -> JobStore:
    store = JobStore(database)
    await store.create_indexes()
    return store


async def claimed(store: JobStore, worker: str = "another", lease_seconds: float = NEVER) -> Job:
    await store.insert(queued_job())
    job = await store.claim(worker, lease_seconds)
    assert job is not None
    return job


def step(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Move the wall clock of this process, as an administrator or NTP may."""
    monkeypatch.setattr(job_store, "utc_now", lambda: utc_now() + timedelta(seconds=seconds))


async def test_a_lease_that_has_run_out_is_enough(store: JobStore) -> None:
    job = await claimed(store, lease_seconds=-1)
    (record,) = await Taken(store, lease_seconds=NEVER).sweep()
    assert (record.id, record.status, record.attempt) == (job.id, JobStatus.QUEUED, 1)


async def test_ours_is_left_to_its_heartbeats(store: JobStore) -> None:
    await claimed(store, "here", lease_seconds=-1)
    assert await Taken(store, lease_seconds=NEVER, ours="here").sweep() == []


async def test_a_job_of_a_killed_process_is_taken_at_once(store: JobStore, tmp_path: Path) -> None:
    with other_holder(tmp_path) as other:
        job = await claimed(store, name_of(other))
        with HolderLock(tmp_path) as holders:
            taken = Taken(store, lease_seconds=NEVER, holders=holders)
            assert await taken.sweep() == []
            other.kill()
            other.wait()
            (record,) = await taken.sweep()
            assert (record.id, record.status) == (job.id, JobStatus.QUEUED)
            await taken.sweep()
            assert [path.stem for path in (tmp_path / "holders").iterdir()] == [holders.name]


async def test_a_holder_that_goes_silent_loses_its_job_although_the_wall_clock_stands(
    store: JobStore,
) -> None:
    """As after a step backwards: the lease would run for an hour."""
    silent, beating = await claimed(store), await claimed(store)
    taken = Taken(store, lease_seconds=0.5)

    async def taken_up() -> bool:
        assert await store.renew(beating, NEVER) is not None
        return bool(await taken.sweep())

    await eventually(taken_up)
    assert [record.id for record in taken.records] == [silent.id]
    assert await store.renew(silent, NEVER) is None


async def test_a_step_of_the_wall_clock_takes_no_job_from_a_living_holder(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await claimed(store, lease_seconds=60)
    taken = Taken(store, lease_seconds=60)
    await taken.sweep()
    step(monkeypatch, +300)
    assert await taken.sweep() == []
    step(monkeypatch, -300)
    assert await taken.sweep() == []
    assert await store.renew(job, 60) is not None


async def test_a_job_that_is_renewed_while_it_is_taken_stays(store: JobStore) -> None:
    job = await claimed(store)
    assert await store.renew(job, NEVER) is not None
    assert await store.recover(job, 3, holder_is_gone=True) is None
    assert (await store.get(job.id) or job).status is JobStatus.IN_PROGRESS


async def test_after_an_outage_holders_may_renew_first(store: JobStore) -> None:
    """Their leases ran out while nobody could reach the database."""
    await claimed(store, lease_seconds=-1)
    taken = Taken(store, lease_seconds=1.0)
    async with connect(f"mongodb://127.0.0.1:{free_port()}", "nowhere") as nowhere:
        taken.recovery._store = JobStore(nowhere)
        with pytest.raises(DatabaseUnavailable):
            await taken.sweep()
    taken.recovery._store = store
    assert await taken.sweep() == []
    await eventually(taken.sweep)
