"""The embedded server, run and killed for real."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.job_store import DatabaseUnavailable, JobStore
from services.mongo import (
    LOOPBACK,
    DatabaseStartFailed,
    EmbeddedServer,
    InvalidConnectionString,
    connect,
    open_database,
)
from tests.jobs import queued_job
from tests.proxy import Proxy
from tests.waiting import eventually

NAME = "text_to_video"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_answers_on_the_loopback_and_stops_at_exit(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        pid = server.pid
        assert pid is not None
        assert server.uri.startswith(f"mongodb://{LOOPBACK}:")
        async with connect(server.uri, NAME) as database:
            await JobStore(database).ping()
    assert not is_running(pid)
    assert server.pid is None


async def test_it_listens_on_no_other_address(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        port = int(server.uri.rpartition(":")[2])
        with socket.socket() as outside:
            outside.bind(("127.0.0.2", port))  # refused if it listened on every address


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    job = queued_job()
    async with open_database(None, NAME, tmp_path) as database:
        store = JobStore(database)
        await store.create_indexes()
        await store.insert(job)
        assert database.is_embedded
        assert "nx-27017" in database.description
        assert str(tmp_path) in database.description
    async with open_database(None, NAME, tmp_path) as database:
        store = JobStore(database)
        await store.create_indexes()
        claimed = await store.claim("w", 30)
        assert claimed is not None
        assert claimed.id == job.id


async def test_it_keeps_its_files_in_the_data_folder(tmp_path: Path) -> None:
    async with open_database(None, NAME, tmp_path) as database:
        await JobStore(database).insert(queued_job())
        names = {path.name for path in (tmp_path / "mongo").iterdir()}
        assert {"databases", "nx-27017.log", "nx-27017.pid"} <= names
        assert (tmp_path / "mongo" / "databases" / f"{NAME}.db").exists()


async def test_killed_while_written_to_it_comes_back_with_every_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    async with EmbeddedServer(tmp_path) as server, connect(server.uri, NAME) as database:
        store = JobStore(database)
        await store.create_indexes()
        uri = server.uri

        async def write() -> None:
            while True:
                job = queued_job()
                try:
                    await store.insert(job)
                except DatabaseUnavailable:
                    continue
                acknowledged.append(job.id)

        writers = [asyncio.create_task(write()) for _ in range(3)]
        for _ in range(3):
            reached = len(acknowledged) + 20
            await eventually(lambda reached=reached: len(acknowledged) >= reached, timeout=30)  # type: ignore[misc]
            killed = server.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda killed=killed: server.pid not in (None, killed), timeout=30)  # type: ignore[misc]
        final = len(acknowledged)
        await eventually(lambda: len(acknowledged) > final, timeout=30)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        assert server.uri == uri
        missing = [job_id for job_id in acknowledged if await store.get(job_id) is None]
        assert missing == []


OWNER = """
import asyncio, pathlib, sys
from services.mongo import EmbeddedServer

async def main():
    async with EmbeddedServer(pathlib.Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


async def start_owner(folder: Path) -> tuple[asyncio.subprocess.Process, int]:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(folder)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    return owner, int(await owner.stdout.readline())


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    owner, database_pid = await start_owner(tmp_path)
    assert is_running(database_pid)
    owner.kill()
    await owner.wait()
    await eventually(lambda: not is_running(database_pid), message="the database outlived its parent")
    async with EmbeddedServer(tmp_path):  # what the killed one left behind is no obstacle
        pass


async def test_ctrl_c_reaches_the_service_and_not_the_database(tmp_path: Path) -> None:
    owner, database_pid = await start_owner(tmp_path)
    assert os.getpgid(database_pid) != os.getpgid(owner.pid)
    assert os.getsid(database_pid) == os.getsid(owner.pid), "the kernel would schedule it apart"
    assert owner.stdin is not None
    owner.stdin.close()
    assert await owner.wait() == 0
    assert not is_running(database_pid)


async def test_a_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "databases").write_text("a file where its folder should be")
    with pytest.raises(DatabaseStartFailed, match=r"nx-27017\.log"):
        async with EmbeddedServer(tmp_path):
            pass


async def test_the_description_names_hosts_and_hides_credentials() -> None:
    uri = "mongodb://anna:s3cr%2Fet@one.invalid:27017,two.invalid/db?appName=me%40home&w=1&journal=false"
    async with connect(uri, NAME) as database:
        assert database.description == "MongoDB at one.invalid:27017,two.invalid"
        assert database.motor.write_concern.document == {"w": "majority", "j": True}
        assert database.collection("jobs").write_concern.document == {"w": "majority", "j": True}


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://anna:s3cr/et@host",
        "mongodb://anna:s3cr@et@host",
        "mongodb://anna:s3cret@host:port",
        "s3cret",
        "postgres://anna:s3cret@host",
        "",
    ],
)
async def test_a_connection_string_that_cannot_be_used_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(InvalidConnectionString, match="MONGO_URI") as caught:
        async with connect(uri, NAME):
            pass
    assert "s3cr" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_every_write_asks_for_majority_and_the_journal(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        proxy = Proxy(LOOPBACK, int(server.uri.rpartition(":")[2]))
        async with proxy.running():
            uri = f"mongodb://{LOOPBACK}:{proxy.port}/?w=1&journal=false&readPreference=secondary"
            async with connect(uri, NAME) as database:
                await JobStore(database).insert(queued_job())
        (insert,) = [request for request in proxy.requests if b"insert\0" in request]
        assert b"majority" in insert
        assert b"\x08j\0\x01" in insert  # BSON: the boolean j is true
