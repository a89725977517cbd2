"""Stages of load and faults on one kind of database, each audited when it is over."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from services.mongo import Database, connect, open_database
from tests.chaos.auditor import Audit, Auditor
from tests.chaos.clients import Bodies, Client
from tests.chaos.ledger import Ledger
from tests.chaos.monkey import Monkey, resume_all
from tests.chaos.receiver import Receiver
from tests.chaos.site import DATABASE, Child, Site, open_site
from tests.waiting import eventually

SCRIPTED = "tests.chaos.generators:ScriptedChaos"
DEMO = "tests.chaos.demo_generator:DemoChaos"
SIZES: dict[str, dict[str, Any]] = {
    SCRIPTED: {"num_frames": 16},
    # The smallest that the demo checkpoint makes; without guidance one UNet pass a step.
    DEMO: {"num_frames": 16, "width": 128, "height": 128, "guidance_scale": 1.0},
}
PROMPTS = {
    SCRIPTED: [*["at once"] * 20, *["pace 0.02", "pace 0.05", "pace 0.1"] * 20, "exit", "kill"],
    DEMO: ["a red circle moving left", "a blue square moving up"],
}
SETTLE_SECONDS = 180.0


@dataclass(frozen=True)
class Stage:
    """One site, its load and its faults.

    Attributes:
        server: ``nx-27017``, ``secantus``, or ``embedded``: the one service's own.
        points: Faults at named points, each in turn.
        pause_seconds: Mean time between two faults.
    """

    name: str
    server: str
    generator: str
    jobs: int
    kills: int
    pauses: int
    points: int = 0
    services: int = 2
    clients: int = 8
    lease_seconds: float = 2.0
    pause_seconds: float = 0.4


@dataclass
class Outcome:
    stage: Stage
    seconds: float
    audit: Audit
    tickets: int
    accepted: int
    kills: Counter[str]
    pauses: int
    points: Counter[str]
    unreached: Counter[str]
    answers: Counter[str]
    settled_seconds: float
    repeated_webhooks: int


async def run_stage(stage: Stage, seed: str, folder: Path) -> Outcome:
    """Load and faults until there is enough of both; then quiet; then the audit."""
    began = time.monotonic()
    ledger, enough = Ledger(), asyncio.Event()
    bodies = Bodies(SIZES[stage.generator], PROMPTS[stage.generator])
    async with (
        Receiver().listening() as receiver,
        open_site(
            folder,
            server=stage.server,
            services=stage.services,
            lease_seconds=stage.lease_seconds,
            generator=stage.generator,
            webhook_url=receiver.url,
        ) as site,
    ):
        monkey = Monkey(f"{seed} {stage.name}", site, stage.lease_seconds)
        clients = [Client(n, f"{seed} {stage.name}", site, ledger, bodies) for n in range(stage.clients)]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.run(enough))
            await monkey.run(
                kills=stage.kills, pauses=stage.pauses, points=stage.points, pause_seconds=stage.pause_seconds
            )
            await eventually(
                lambda: len(ledger.accepted) >= stage.jobs, 1800, "the load does not come to its end"
            )
            enough.set()
        resume_all(site.services)
        quiet_at = time.monotonic()
        await site.ready()
        async with httpx2.AsyncClient(base_url=site.urls[0], timeout=10) as http:
            await settled(http, receiver)
        settled_seconds = time.monotonic() - quiet_at
        statuses = [await service.stop() for service in site.services]
        async with records(site) as database:
            audit = await Auditor(site, database, ledger, receiver).audit()
        audit.findings.exceptions += [f"a service ended with {status}" for status in statuses if status]
    return Outcome(
        stage,
        time.monotonic() - began,
        audit,
        bodies.drawn,
        len(ledger.accepted),
        monkey.kills,
        monkey.pauses,
        monkey.points,
        monkey.unreached,
        ledger.answers,
        settled_seconds,
        receiver.repeats,
    )


async def settled(http: httpx2.AsyncClient, receiver: Receiver) -> None:
    """Once no job waits or runs and every end was told; what still is not after a while, the audit finds."""

    async def quiet() -> bool:
        for status in ("queued", "in_progress"):
            answer = await http.get("/jobs", params={"status": status, "limit": 1})
            if answer.status_code != 200 or answer.json()["data"]:
                return False
        return await every_job(http) <= receiver.events.keys()

    try:
        await eventually(quiet, SETTLE_SECONDS, interval=0.5)
    except AssertionError:
        return


async def every_job(http: httpx2.AsyncClient) -> set[str]:
    """The ids of all jobs."""
    job_ids: set[str] = set()
    after: dict[str, str] = {}
    while True:
        page = (await http.get("/jobs", params={"limit": 100, **after})).json()
        job_ids |= {job["id"] for job in page["data"]}
        if not page["has_more"]:
            return job_ids
        after = {"after": page["last_id"]}


@asynccontextmanager
async def records(site: Site) -> AsyncIterator[Database]:
    """The database of a site whose services have stopped."""
    if site.database is None:
        async with open_database(None, DATABASE, site.data_dir) as database:
            yield database
    else:
        port = address(site.database)
        async with connect(f"mongodb://127.0.0.1:{port}", DATABASE) as database:
            yield database


def address(database: Child) -> str:
    command = database.command
    return command[command.index("--port") + 1]
