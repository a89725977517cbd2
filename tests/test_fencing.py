"""A service that stands still for longer than its lease, at the worst moments, and wakes up again."""

import os
import signal
from pathlib import Path

import httpx2
import pytest

from services.job_store import JobStore
from tests.chaos.outage import has_status
from tests.chaos.points import Armed
from tests.chaos.run import SCRIPTED, records
from tests.chaos.site import Child, Site, open_site
from tests.conftest import OUTSIDE_URI
from tests.jobs import queued_job
from tests.waiting import eventually

POINTS = ("after-claim", "mid-sampling", "mid-write", "before-rename", "before-compare-and-set")


@pytest.mark.skipif(OUTSIDE_URI is not None, reason="it brings its own databases")
@pytest.mark.parametrize("server", ["nx-27017", "secantus"])
async def test_who_wakes_after_its_lease_changes_nothing(server: str, tmp_path: Path) -> None:
    async with open_site(
        tmp_path / "site", server=server, services=2, lease_seconds=1.0, generator=SCRIPTED
    ) as site:
        for point in POINTS:
            armed = Armed(site.points, point, "stop")
            job = queued_job("pace 0.01", owner="local")
            async with records(site) as database:
                await JobStore(database).insert(job)
            pid = await eventually(armed.taken_by, 20, f"nobody came to {point}")
            asleep = next(number for number, service in enumerate(site.services) if service.pid == pid)
            async with httpx2.AsyncClient(base_url=site.urls[1 - asleep], timeout=10) as http:
                done = await has_status(http, job.id, "completed")
                assert (done["attempt"], done["fence"]) == (2, 2), point
                kept = files(site, job.id, fence=2)
                assert len(kept) == 2
                os.kill(pid, signal.SIGCONT)
                await eventually(lambda: has_given_up(site.services[asleep], job.id), 20)  # noqa: B023
                assert await has_status(http, job.id, "completed") == done, point
                assert files(site, job.id) == kept, point


def files(site: Site, job_id: str, fence: int | None = None) -> dict[str, bytes]:
    """What lies in the store of a job, or of one claim of it."""
    pattern = f"{job_id}.*" if fence is None else f"{job_id}.{fence}.*"
    return {path.name: path.read_bytes() for path in (site.data_dir / "videos").glob(pattern)}


def has_given_up(service: Child, job_id: str) -> bool:
    """Whether it says that it has done with the job, which is another's."""
    lines = service.log.read_text().splitlines()
    return any(job_id in line and "is no longer ours" in line for line in lines)
