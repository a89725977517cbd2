"""The MongoDB client, and the embedded server that stands in where no connection string is given."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Motor hands each operation to a thread, and while the database is away each thread waits for it: with as few
# threads as Motor makes, five a core, callers at the moment of its loss would wait for each other's waits.
# Read when motor is first imported.
os.environ.setdefault("MOTOR_MAX_WORKERS", "128")

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from services.child_process import bound

logger = logging.getLogger(__name__)

Collection = AsyncIOMotorCollection[Any]

LOOPBACK = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 5.0
STEADY_SECONDS = 30.0


class DatabaseStartFailed(RuntimeError):
    """The embedded server did not start; the message names its log."""


class InvalidConnectionString(ValueError):
    """The connection string cannot be used; the message holds no part of it."""


@dataclass(frozen=True)
class Database:
    """A database and how to speak of it.

    ``description`` names the server without credentials. Every write is majority-acknowledged and journalled,
    every read goes to the primary, whatever the connection string says.
    """

    motor: AsyncIOMotorDatabase[Any]
    description: str
    is_embedded: bool = False

    def collection(self, name: str) -> Collection:
        return self.motor[name]


@asynccontextmanager
async def open_database(uri: str | None, name: str, data_dir: Path) -> AsyncIterator[Database]:
    """Database ``name`` of the server at ``uri``, or of the embedded server under ``data_dir`` without one.

    Does not wait for a server at ``uri``: the first operation does.

    Raises:
        InvalidConnectionString: ``uri`` cannot be parsed.
        DatabaseStartFailed: the embedded server does not come up.
    """
    if uri is not None:
        async with connect(uri, name) as database:
            yield database
        return
    async with EmbeddedServer(data_dir) as server, connect(server.uri, name) as database:
        yield Database(database.motor, f"embedded nx-27017, {server.folder}", is_embedded=True)


@asynccontextmanager
async def connect(uri: str, name: str) -> AsyncIterator[Database]:
    """Database ``name`` of the server at ``uri``, for the running event loop."""
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise InvalidConnectionString("MONGO_URI has to begin with mongodb:// or mongodb+srv://")
    try:
        client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(
            uri,
            io_loop=asyncio.get_running_loop(),
            appname="text-to-video",
            tz_aware=True,
            # Every write is guarded by its document's token and read back when in doubt.
            retryWrites=False,
            # Callers learn within two seconds that the database is away, and that it is back within one.
            serverSelectionTimeoutMS=900,
            heartbeatFrequencyMS=1_000,
            connectTimeoutMS=1_500,
            socketTimeoutMS=5_000,
            waitQueueTimeoutMS=5_000,
            # So many operations at a time; the others wait here, and not in the server.
            maxPoolSize=20,
        )
    except (PyMongoError, ValueError) as error:
        raise InvalidConnectionString(
            f"MONGO_URI is not a usable connection string ({type(error).__name__}). "
            "User name and password must be percent-encoded."
        ) from None
    try:
        motor = client.get_database(
            name,
            write_concern=WriteConcern("majority", j=True),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern(),
        )
        yield Database(motor, f"MongoDB at {_hosts(uri)}")
    finally:
        await asyncio.to_thread(client.close)  # it says goodbye to the server first


def _hosts(uri: str) -> str:
    """Host names of a valid connection string, without credentials and options."""
    authority = uri.partition("://")[2].partition("/")[0].partition("?")[0]
    return authority.rpartition("@")[2]


def embedded_command(folder: Path, port: int) -> list[str]:
    """The command line of an nx-27017 that keeps its data in ``folder`` and listens on the loopback only."""
    return [
        *(sys.executable, "-c", "from nx_27017.nx_27017 import main; main()"),
        *("--host", LOOPBACK, "--port", str(port)),
        *("--data-dir", str(folder / "databases"), "--journal-mode", "WAL"),
        # Its own log repeats what it prints, and both files default to /tmp.
        *("--log-file", "/dev/null", "--pid-file", str(folder / "nx-27017.pid")),
    ]


class EmbeddedServer:
    """nx-27017 as a supervised child on a free loopback port, its data under ``data_dir/mongo``.

    It is started again on the same port when it dies, stopped at exit, and dies with this process. Only one
    process at a time may use the folder: see ``services.instance_lock``.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "mongo"
        self.uri = ""
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it is down."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_path.unlink(missing_ok=True)
        # The port is free when chosen, not necessarily when the server binds it.
        for attempts_left in (2, 1, 0):
            self._port = free_port()
            try:
                await self._start()
                break
            except DatabaseStartFailed:
                if not attempts_left:
                    raise
        self.uri = f"mongodb://{LOOPBACK}:{self._port}"
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded-database")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        await self._stop()

    @property
    def _log_path(self) -> Path:
        return self.folder / "nx-27017.log"

    async def _start(self) -> None:
        # A file left by a killed server would stop the next one whenever its process id is in use again.
        (self.folder / "nx-27017.pid").unlink(missing_ok=True)
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *bound(embedded_command(self.folder, self._port)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the whole foreground group; the database is the last to go. It stays in the
                # session: Linux schedules sessions apart, and beside a busy CPU one of its own starved.
                process_group=0,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._wait_until_it_answers(self._process)
        except TimeoutError:
            await self._stop()
            raise DatabaseStartFailed(f"nx-27017 does not answer; see {self._log_path}") from None
        except BaseException:
            await self._stop()
            raise

    async def _wait_until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        while True:
            if process.returncode is not None:
                raise DatabaseStartFailed(f"nx-27017 ended with {process.returncode}; see {self._log_path}")
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, self._port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            if await _server_pid(self._port) == process.pid:
                return
            await asyncio.sleep(0.02)

    async def _supervise(self) -> None:
        """Start the server again whenever it dies, later and later while it does not stay up."""
        loop = asyncio.get_running_loop()
        backoff = 0.1
        while self._process is not None:
            started = loop.time()
            status = await self._process.wait()
            if loop.time() - started > STEADY_SECONDS:
                backoff = 0.1
            logger.error("The embedded database ended with %s; starting it again", status)
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)
            try:
                await self._start()
            except (DatabaseStartFailed, OSError) as error:
                logger.error("The embedded database did not start: %s", error)
            else:
                logger.warning("The embedded database is up again")

    async def _stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def _server_pid(port: int) -> Any:
    """Process id of the server that listens on ``port``; None when it does not answer as MongoDB does."""
    client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(
        LOOPBACK,
        port,
        io_loop=asyncio.get_running_loop(),
        serverSelectionTimeoutMS=1_000,
        socketTimeoutMS=1_000,
    )
    try:
        return (await client.admin.command("serverStatus")).get("pid")
    except PyMongoError:
        return None
    finally:
        await asyncio.to_thread(client.close)  # it says goodbye to the server first


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
