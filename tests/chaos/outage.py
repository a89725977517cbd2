"""The database goes away in the middle of the load, and comes back."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.chaos.run import SCRIPTED
from tests.chaos.site import Site, open_site
from tests.waiting import eventually

LOADERS = 4
WATCHERS = 6
OPERATIONS = (("POST", "/videos"), ("GET", "/jobs/{id}"), ("GET", "/jobs"), ("GET", "/videos/{id}"))


@dataclass
class Outage:
    """What callers met while the database was away, and what became of the jobs.

    ``slowest``: seconds of the slowest answer, by operation. ``recovered_seconds``: from the return of the
    database to readiness.
    """

    seconds: float
    answers: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    running: dict[str, Any] = field(default_factory=dict)
    waiting: dict[str, Any] = field(default_factory=dict)
    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    recovered_seconds: float = 0.0


async def meet_outage(folder: Path, server: str, seconds: float, lease_seconds: float = 2.0) -> Outage:
    """One service, a job that runs and one that waits; the database is away for so long."""
    outage = Outage(seconds)
    async with (
        open_site(folder, server=server, services=1, lease_seconds=lease_seconds, generator=SCRIPTED) as site,
        httpx2.AsyncClient(base_url=site.urls[0], timeout=10) as http,
    ):
        assert site.database is not None
        # It ends while the database is away, long after its lease has run out there.
        steps = max(1, int(seconds * 8))
        running = await create(http, prompt="pace 0.1", num_inference_steps=min(100, steps))
        await has_status(http, running, "in_progress")
        waiting = await create(http, prompt="at once")
        accepted, stop = [running, waiting], asyncio.Event()
        loaders = [asyncio.create_task(load(http, accepted, stop)) for _ in range(LOADERS)]
        site.database.down()
        away_at = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                watched = OPERATIONS * WATCHERS
                await asyncio.gather(*[watch(http, outage, name, running, away_at) for name in watched])
        site.database.up()
        up_at = time.monotonic()
        await eventually(lambda: is_ready(http), 60, "it is not ready again")
        outage.recovered_seconds = time.monotonic() - up_at
        stop.set()
        await asyncio.gather(*loaders)
        outage.running = await has_status(http, running, "completed")
        outage.waiting = await has_status(http, waiting, "completed")
        for job_id in accepted:
            if (await http.get(f"/jobs/{job_id}")).status_code != 200:
                outage.lost.append(job_id)
        outage.accepted = len(accepted)
        await finish(site)
    return outage


async def watch(
    http: httpx2.AsyncClient, outage: Outage, operation: tuple[str, str], job_id: str, away_at: float
) -> None:
    """Ask again and again; until cancelled."""
    method, path = operation
    body = {"json": {"prompt": "at once"}} if method == "POST" else {}
    while True:
        began = time.monotonic()
        answer = await http.request(method, path.format(id=job_id), **body)
        took = time.monotonic() - began
        name = f"{method} {path}"
        outage.answers[f"{name}: {answer.status_code}"] += 1
        outage.slowest[name] = max(outage.slowest.get(name, 0.0), took)
        if answer.status_code != 503 or int(answer.headers.get("Retry-After", 0)) < 1:
            outage.wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        ready, live = await http.get("/health/ready"), await http.get("/health/live")
        if ready.status_code != 503 or ready.json()["checks"]["database"] == "ok":
            outage.wrong.append(f"ready says {ready.text} after {began - away_at:.1f} s")
        if live.status_code != 200:
            outage.wrong.append(f"live says {live.status_code}")


async def load(http: httpx2.AsyncClient, accepted: list[str], stop: asyncio.Event) -> None:
    """Creates jobs throughout, whatever it is answered."""
    while not stop.is_set():
        answer = await http.post("/videos", json={"prompt": "at once"})
        if answer.status_code == 202:
            accepted.append(answer.json()["id"])
        await asyncio.sleep(0.2)


async def create(http: httpx2.AsyncClient, **body: Any) -> str:
    answer = await http.post("/videos", json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


async def has_status(http: httpx2.AsyncClient, job_id: str, status: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        answer = await http.get(f"/jobs/{job_id}")
        job: dict[str, Any] = answer.json()
        return job if answer.status_code == 200 and job["status"] == status else None

    job: dict[str, Any] = await eventually(there, 60, f"{job_id} did not become {status}")
    return job


async def is_ready(http: httpx2.AsyncClient) -> bool:
    return (await http.get("/health/ready")).status_code == 200


async def finish(site: Site) -> None:
    for service in site.services:
        assert await service.stop() == 0, service.log.read_text()[-2000:]
