"""The processes of a chaos run: services that share a database, or one with its embedded database."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import psutil

from services.child_process import bound
from services.mongo import LOOPBACK, free_port
from tests.chaos import points
from tests.conftest import server_command
from tests.running_service import REPOSITORY_ROOT
from tests.waiting import eventually

DATABASE = "chaos"
READY_SECONDS = 120.0
SETTINGS = {
    "T2V_DATABASE": DATABASE,
    "T2V_MODEL": "demo",
    "T2V_DEVICE": "cpu",
    "T2V_COMPILE": "off",
    "T2V_POLL_SECONDS": "0.2",
    "T2V_CANCEL_GRACE_SECONDS": "1",
    "T2V_SHUTDOWN_GRACE_SECONDS": "20",
    "T2V_LOG_FORMAT": "json",
    "T2V_WEBHOOK_ALLOW_PRIVATE": "true",
    "T2V_WEBHOOK_TIMEOUT_SECONDS": "2",
}


class Child:
    """A process that is started again whenever it ends, as a service manager would."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self.command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """None while it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                bound(self.command), cwd=REPOSITORY_ROOT, env=self._environment, stdout=log, stderr=log
            )
        self.starts += 1

    async def supervise(self) -> None:
        while True:
            if self._process is not None and self._process.poll() is not None and not self._stopping:
                self.start()
            await asyncio.sleep(0.05)

    async def stop(self, grace_seconds: float = 40) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._stopping = True
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait, grace_seconds)

    def down(self) -> None:
        """kill -9, and no new start until ``up``."""
        self.destroy()

    def up(self) -> None:
        self.start()
        self._stopping = False

    async def restart(self) -> int:
        """SIGTERM, then a new start. The exit status."""
        status = await self.stop()
        self.up()
        return status

    def destroy(self) -> None:
        self._stopping = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def children(self, words: str) -> list[int]:
        """Ids of the processes below it whose command line holds ``words``."""
        if self.pid is None:
            return []
        with suppress(psutil.Error):
            below = psutil.Process(self.pid).children(recursive=True)
            return [child.pid for child in below if words in command_line(child)]
        return []


def command_line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


class Site:
    """``services`` over one data folder; ``database`` is None where it is the service's own child."""

    def __init__(self, folder: Path, services: list[Child], ports: list[int], database: Child | None) -> None:
        self.folder = folder
        self.services = services
        self.database = database
        self.urls = [f"http://{LOOPBACK}:{port}" for port in ports]

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def points(self) -> Path:
        return self.folder / "points"

    def workers(self) -> list[int]:
        return [pid for service in self.services for pid in service.children("services.execution.worker")]

    def databases(self) -> list[int]:
        if self.database is not None:
            return [self.database.pid] if self.database.pid is not None else []
        return [pid for service in self.services for pid in service.children("nx_27017")]

    async def ready(self) -> None:
        """Once every service says that it can work."""
        async with httpx2.AsyncClient(timeout=5) as client:
            for url in self.urls:
                await eventually(
                    lambda url=url: is_ready(client, url), READY_SECONDS, f"{url} is not ready", 0.1
                )

    async def answers(self, seconds: float) -> None:
        """Once one of the services is ready, or after so many seconds: who only kills sees nothing work."""
        async with httpx2.AsyncClient(timeout=2) as client:

            async def one_is_ready() -> bool:
                return any([await is_ready(client, url) for url in self.urls])

            with suppress(AssertionError):
                await eventually(one_is_ready, seconds, interval=0.1)

    def logged(self, words: str) -> Counter[str]:
        """Lines of the services' logs that hold ``words``."""
        lines: Counter[str] = Counter()
        for service in self.services:
            for line in service.log.read_text(errors="replace").splitlines():
                if words in line:
                    lines[line] += 1
        return lines


async def is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/ready")).status_code == 200
    except httpx2.TransportError:
        return False


@asynccontextmanager
async def open_site(
    folder: Path,
    *,
    server: str,
    services: int,
    lease_seconds: float,
    generator: str,
    webhook_url: str = "",
) -> AsyncIterator[Site]:
    """``server``: ``nx-27017`` or ``secantus`` beside the services, or ``embedded`` in the one."""
    for name in ("data", "points", "tmp"):
        (folder / name).mkdir(parents=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("T2V_", "MONGO"))}
    environment |= SETTINGS | {
        "T2V_DATA_DIR": str(folder / "data"),
        "T2V_LEASE_SECONDS": str(lease_seconds),
        "T2V_WEBHOOK_URL": webhook_url,
        "T2V_WEBHOOK_SECRET": f"whsec_{'A' * 32}",
        "TMPDIR": str(folder / "tmp"),
        points.FOLDER: str(folder / "points"),
        "CHAOS_GENERATOR": generator,
        "OMP_NUM_THREADS": "1",
    }
    database = None
    if server != "embedded":
        port = free_port()
        database = Child(
            server, server_command(server, folder / "database", port), folder / "database.log", environment
        )
        environment = environment | {"MONGO_URI": f"mongodb://{LOOPBACK}:{port}"}
    ports = [free_port() for _ in range(services)]
    command = [sys.executable, "-m", "tests.chaos.entry"]
    children = [
        Child(
            f"service-{port}", command, folder / f"service-{port}.log", environment | {"T2V_PORT": str(port)}
        )
        for port in ports
    ]
    site = Site(folder, children, ports, database)
    everything = [*([database] if database else []), *children]
    for child in everything:
        child.start()
    supervisors = [asyncio.create_task(child.supervise(), name=child.name) for child in everything]
    try:
        await site.ready()
        yield site
    finally:
        for supervisor in supervisors:
            supervisor.cancel()
        for child in reversed(everything):
            child.destroy()
        await gone(folder)


async def gone(folder: Path) -> None:
    """Once no process of the site is left: they die with their parents."""
    deadline = time.monotonic() + 15
    mine = str(folder)
    while any(mine in " ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < deadline, "processes outlived their parents"
        await asyncio.sleep(0.1)
