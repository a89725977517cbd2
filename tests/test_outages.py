"""What callers and jobs meet while something that the service stands on is away, full or broken."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.job import JobStatus
from services.database_errors import DatabaseFull
from services.file_store import FileStore
from services.job_store import JobStore
from services.mongo import Database, open_database
from tests.chaos.outage import meet_outage
from tests.conftest import OUTSIDE_URI
from tests.dispatching import service_on
from tests.jobs import queued_job


@pytest.mark.skipif(OUTSIDE_URI is not None, reason="it kills its database")
@pytest.mark.parametrize("server", ["nx-27017", "secantus"])
async def test_the_database_goes_away_and_comes_back(server: str, tmp_path: Path) -> None:
    outage = await meet_outage(tmp_path / "site", server, seconds=6.0)
    assert outage.wrong == []
    assert outage.lost == []
    assert max(outage.slowest.values()) < 2.0, outage.slowest
    assert outage.running["attempt"] == 1
    assert outage.waiting["attempt"] == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may make a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, leave_bytes: int = 0) -> Path:
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - leave_bytes))
    return filler


async def test_a_full_disk_fails_the_job_and_freed_space_is_used_again(
    database: Database, small_disk: Path, tmp_path: Path
) -> None:
    store = JobStore(database)
    async with service_on(store, tmp_path / "unused") as service:
        files = FileStore(small_disk / "videos", 10**8)
        async with service.dispatcher(files=files):
            filler = fill(small_disk)
            job = await service.final(await service.queue())
            assert job.error is not None
            assert job.error.code == "storage_full"
            assert list((small_disk / "videos").iterdir()) == []
            filler.unlink()
            job = await service.final(await service.queue())
            assert job.status is JobStatus.COMPLETED
            assert files.video_path(job.id, job.fence).exists()


async def insert_forever(store: JobStore) -> None:
    while True:
        await store.insert(queued_job("x" * 1000))


async def test_a_disk_that_is_full_for_the_database_too_loses_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    """Clips and records on one disk, as by default: the outcome waits until it can be written."""
    gate = tmp_path / "gate"
    async with open_database(None, "full", small_disk) as database:
        store = JobStore(database)
        async with service_on(store, small_disk / "videos") as service:
            job_id = await service.queue(f"wait {gate}")
            async with service.dispatcher(lease_seconds=1.0):
                await service.running(job_id)
                filler = fill(small_disk)
                with pytest.raises(DatabaseFull) as refused:
                    await insert_forever(store)
                assert refused.value.status == 503
                assert int(refused.value.headers["Retry-After"]) > 0
                gate.touch()
                assert (await service.get(job_id)).status is JobStatus.IN_PROGRESS, "reads go on"
                filler.unlink()
                job = await service.final(job_id)
    assert job.attempt == 1
    assert job.status is JobStatus.COMPLETED or (job.error and job.error.code == "storage_full")
