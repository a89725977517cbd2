"""A database for each test: on the embedded server and on SecantusDB, or on ``$MONGO_URI`` when set."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from services.child_process import bound
from services.mongo import LOOPBACK, Database, connect, embedded_command, free_port
from tests.client_service import ClientService, client_service
from tests.running_service import SCRIPTED_SERVICE

OUTSIDE_URI = os.environ.get("MONGO_URI")
SERVERS = ["outside"] if OUTSIDE_URI else ["nx-27017", "secantus"]
START_SECONDS = 30.0

LONGEST = (
    "test_service",
    "test_compiling",
    "test_postman",
    "test_demo_checkpoint",
    "test_loading",
    "test_page",
    "test_training_networks",
    "test_broken_parts",
    "test_chaos",
    "test_page_for_all",
    "test_equality_gate",
    "test_openapi",
    "test_training_teaching",
    "test_compiled_service",
    "test_training_team",
    "test_cli",
    "test_rolling_restart",
    "test_benchmarks",
)
"""Files that take a minute or so, the longest first: begun last, one would run on alone in the end."""


def pytest_configure(config: pytest.Config) -> None:
    """A suite that a shell runs in the background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("numprocesses", default=None):
        return  # This process runs no tests, and those that it starts inherit its environment.
    # Torch's threads, here and in what is started here: all test processes together use each core once.
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests of a service wait half of their time for it."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, else as they come."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@contextlib.contextmanager
def listening(command: Sequence[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from when it listens on ``port``."""
    with log.open("ab") as output:
        process = subprocess.Popen(bound(command), stdout=output, stderr=output, process_group=0)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((LOOPBACK, port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


def server_command(kind: str, folder: Path, port: int) -> list[str]:
    folder.mkdir(exist_ok=True)
    if kind == "nx-27017":
        return embedded_command(folder, port)
    arguments = ["--host", LOOPBACK, "--port", str(port), "--storage-path", str(folder / "data")]
    return [sys.executable, "-m", "secantus", *arguments, "--cache-size", "64M", "--log-level", "WARNING"]


@pytest.fixture(scope="session", params=SERVERS)
def mongo_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a running server."""
    if OUTSIDE_URI:
        yield OUTSIDE_URI
        return
    folder, port = tmp_path_factory.mktemp("mongo"), free_port()
    with listening(server_command(request.param, folder, port), port, folder / "server.log"):
        yield f"mongodb://{LOOPBACK}:{port}"


@pytest.fixture
def database_name() -> str:
    return f"test_{secrets.token_hex(8)}"


@pytest_asyncio.fixture
async def database(mongo_uri: str, database_name: str) -> AsyncIterator[Database]:
    """An empty database of its own, dropped afterwards."""
    async with connect(mongo_uri, database_name) as database:
        yield database
        await database.motor.client.drop_database(database_name)


@pytest.fixture(scope="session", name="client_service")
def open_client_service() -> Iterator[ClientService]:
    """The service with the demo checkpoint that all clients share: they only add to it."""
    with client_service() as service:
        yield service


@pytest.fixture(scope="session", name="shared_scripted_service")
def open_scripted_service() -> Iterator[ClientService]:
    with client_service(SCRIPTED_SERVICE) as service:
        yield service


@pytest.fixture
def scripted_service(shared_scripted_service: ClientService) -> Iterator[ClientService]:
    """One with a generator that does what the prompt says: a job lasts as long as a test wants, no longer."""
    yield shared_scripted_service
    shared_scripted_service.cancel_all()
