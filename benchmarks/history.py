"""What the job store's operations cost when its history is long.

    python -m benchmarks.history [--server embedded|secantus|mongodb://…] [--jobs 100000] [--queued 100]

Fills a new database with ended jobs of ten owners, makes some wait, then times what the service asks of the
store, and prints the plan that the server explains for each query. A database at a URI is dropped afterwards.
"""

import argparse
import asyncio
import contextlib
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
from pymongo import monitoring
from pymongo.errors import ExecutionTimeout, PyMongoError

from benchmarks.long_history import OWNERS, YEAR, History, fill, new_job
from models.job import Job, JobError, JobStatus
from services.child_process import bound
from services.ids import ulid_of
from services.job_store import DatabaseUnavailable, JobQuery, JobStore, utc_now
from services.mongo import LOOPBACK, Database, connect, free_port, open_database

OWNER_NUMBER = 3
OWNER = f"owner-{OWNER_NUMBER}"
SERVER_START_SECONDS = 30.0
PATIENCE_SECONDS = 120.0


class Finds(monitoring.CommandListener):
    """Remembers the queries that the driver sends while it is told to."""

    def __init__(self) -> None:
        self.recording = False
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.recording and event.command_name == "find":
            shown = ("find", "filter", "sort", "skip", "limit", "projection")
            self.commands.append({name: event.command[name] for name in shown if name in event.command})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to note."""


@dataclass
class Timed:
    """One operation: what it is called, how it is done, how often."""

    name: str
    run: Callable[[], Awaitable[object]]
    times: int = 20
    milliseconds: list[float] = field(default_factory=list)

    async def measure(self, after_first: Callable[[], object]) -> None:
        """Raises DatabaseUnavailable when the server takes longer than the service waits."""
        await self.run()  # also warms the server's caches
        after_first()
        for _ in range(self.times):
            begun = time.perf_counter()
            await self.run()
            self.milliseconds.append((time.perf_counter() - begun) * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", default="embedded", help="embedded, secantus, or a connection string")
    parser.add_argument("--jobs", type=int, default=100_000, help="ended jobs in the history")
    parser.add_argument("--queued", type=int, default=100, help="jobs that wait")
    parser.add_argument("--load-minutes", type=float, default=60, help="stop filling after so long")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.server, arguments.jobs, arguments.queued, arguments.load_minutes * 60))


async def measure(server: str, jobs: int, queued: int, load_seconds: float) -> None:
    finds = Finds()
    monitoring.register(finds)
    async with running(server) as database:
        store = JobStore(database)
        await store.create_indexes()
        started = time.monotonic()
        history = History(jobs, utc_now() - YEAR)
        loaded = await fill(database, history, load_seconds)
        print(
            f"{database.description}: {loaded} jobs loaded in {time.monotonic() - started:.0f} s\n",
            flush=True,
        )
        waiting = [new_job(f"owner-{number % OWNERS}") for number in range(queued)]
        for job in waiting:
            await store.insert(job)
        print("| operation | median ms | worst ms |\n|---|---|---|")
        plans = []
        for timed in operations(store, history, loaded, await place_of_last(store, waiting)):
            finds.recording, finds.commands = True, []
            try:
                await timed.measure(lambda: setattr(finds, "recording", False))
            except DatabaseUnavailable:
                print(f"| {timed.name} | given up | {await patiently(timed)} |", flush=True)
            else:
                median, worst = statistics.median(timed.milliseconds), max(timed.milliseconds)
                print(f"| {timed.name} | {median:.1f} | {worst:.1f} |", flush=True)
            plans += [(timed.name, command) for command in finds.commands[:3]]
        print()
        for name, command in plans:
            print(f"{name}: {shown(command)}\n    {await plan(database, command)}")


async def place_of_last(store: JobStore, jobs: list[Job]) -> str:
    """The place in the queue of the owner's last job."""
    job = await store.get([job.id for job in jobs if job.owner == OWNER][-1])
    if job is None or job.place is None:
        raise SystemExit("the jobs that wait are not there")
    return job.place


async def patiently(timed: Timed) -> str:
    """What an operation takes for which the service does not wait."""
    begun = time.perf_counter()
    try:
        with pymongo.timeout(PATIENCE_SECONDS):
            await timed.run()
    except (DatabaseUnavailable, ExecutionTimeout):
        return f"> {PATIENCE_SECONDS * 1000:.0f}"
    return f"{(time.perf_counter() - begun) * 1000:.0f}"


def operations(store: JobStore, history: History, loaded: int, place: str) -> list[Timed]:
    middle = history.time_of(loaded // 2)
    deep = f"video_{ulid_of(middle)}"

    async def create() -> None:
        await store.has_queued(500, owner=OWNER)
        await store.has_queued(1000)
        await store.insert(new_job(OWNER))

    async def claim_and_end() -> None:
        job = await store.claim("benchmark", 30)
        if job is None:
            raise SystemExit("nothing waits: take a greater --queued")
        await store.fail(job, JobError(code="timeout", message="measured"))

    def listing(**fields: Any) -> Callable[[], Awaitable[object]]:
        return lambda: store.list(JobQuery(owner=OWNER, **fields))

    return [
        Timed("create, with both queue limits", create),
        Timed("claim, with the write of its end", claim_and_end),
        Timed("get", lambda: store.get(history.id_of(OWNER_NUMBER), owner=OWNER)),
        Timed("queue position", lambda: store.count_queued(limit=1000, before=place)),
        Timed("first page", listing()),
        Timed("deep page, from the middle", listing(after=deep)),
        Timed("last page", listing(after=history.id_of(OWNER_NUMBER + 99 * OWNERS))),
        Timed("filtered by status", listing(status=JobStatus.FAILED)),
        Timed("filtered by status and model", listing(status=JobStatus.FAILED, model="demo"), 5),
        Timed("filtered by a day half a year ago", listing(**a_day(middle))),
        Timed("first page of an owner without jobs", lambda: store.list(JobQuery(owner="nobody"))),
        Timed("searched, found on the first page", listing(q="BLUE STAR")),
        Timed("searched, found nowhere", listing(q="purple"), 3),
        Timed("average seconds of a model", lambda: store.average_seconds("demo")),
        Timed("oldest records, for the janitor", lambda: store.oldest(before=deep, after=None, limit=100)),
    ]


def a_day(at: datetime) -> dict[str, datetime]:
    return {"created_after": at, "created_before": at + timedelta(days=1)}


@contextlib.asynccontextmanager
async def running(server: str) -> AsyncIterator[Database]:
    """An empty database on the server."""
    name = f"history_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        if server == "embedded":
            async with open_database(None, name, Path(folder)) as database:
                yield database
        elif server == "secantus":
            async with secantus(Path(folder)) as uri, connect(uri, name) as database:
                yield database
        else:
            async with connect(server, name) as database:
                try:
                    yield database
                finally:
                    await database.motor.client.drop_database(name)


@contextlib.asynccontextmanager
async def secantus(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "secantus", "--host", LOOPBACK, "--port", str(port)),
        *("--storage-path", str(folder / "data"), "--cache-size", "512M", "--log-level", "WARNING"),
    ]
    process = await asyncio.create_subprocess_exec(*bound(command), process_group=0)
    try:
        async with asyncio.timeout(SERVER_START_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(LOOPBACK, port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield f"mongodb://{LOOPBACK}:{port}"
    finally:
        process.kill()
        await process.wait()


async def plan(database: Database, command: dict[str, Any]) -> str:
    """The steps of the plan that the server would choose, outermost first."""
    try:
        answer = await database.motor.command("explain", command, verbosity="queryPlanner")
    except PyMongoError as error:  # busy, still, with a query that was given up
        return f"not explained: {type(error).__name__}"
    winning = answer["queryPlanner"]["winningPlan"]
    if isinstance(winning, list):  # SQLite's
        return "; ".join(step["detail"] for step in winning)
    steps, step = [], winning.get("queryPlan", winning)
    while step is not None:
        index = f" {step['indexName']}" if "indexName" in step else ""
        steps.append(f"{step.get('stage', '?')}{index}")
        step = step.get("inputStage")
    return " ← ".join(steps)


def shown(command: dict[str, Any]) -> str:
    parts = [str(dict(command["filter"]))]
    if command.get("sort"):
        parts.append(f"sort {dict(command['sort'])}")
    return " ".join([*parts, *(f"{name} {command[name]}" for name in ("skip", "limit") if command.get(name))])


if __name__ == "__main__":
    main()
