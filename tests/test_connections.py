"""Clients that send or read slowly, or come in crowds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from app.main import MAX_BODY_BYTES
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 0.5
HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("slow"), client_timeout_seconds=PATIENCE) as api:
        yield api


@asynccontextmanager
async def connection(api: LiveApi) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(str(api.client.base_url))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    """Status and error of the answer after which the connection ends."""
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


async def test_a_connection_that_says_nothing_ends(api: LiveApi) -> None:
    async with connection(api) as (reader, _):
        assert (await answer_of(reader))[0] == 408


async def test_headers_that_trickle_in_end_with_their_time(api: LiveApi) -> None:
    started = time.monotonic()
    async with connection(api) as (reader, writer):
        writer.write(HEAD)
        answer = asyncio.create_task(answer_of(reader))
        number = 0
        while not answer.done():
            writer.write(f"X-{number}: y\r\n".encode())
            number += 1
            await asyncio.wait({answer}, timeout=0.05)
        status, error = await answer
    assert (status, error["code"]) == (408, "request_timeout")
    assert PATIENCE <= time.monotonic() - started < 10 * PATIENCE


async def test_a_refusal_is_read_by_a_client_that_still_sends(api: LiveApi) -> None:
    """A connection that is closed with bytes unread is reset, and the answer lost."""
    async with connection(api) as (reader, writer):
        writer.write(b"not HTTP at all\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
        assert b" 400 " in head
        for _ in range(3):
            writer.write(b"more of the same\r\n")
            await writer.drain()
        assert b"invalid_http" in await asyncio.wait_for(reader.read(), 10)


@pytest.mark.parametrize("target", [b"POST /videos", b"POST /keys"], ids=["read", "not read"])
async def test_a_body_that_trickles_in_ends_with_its_time(api: LiveApi, target: bytes) -> None:
    async with connection(api) as (reader, writer):
        fields = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        writer.write(target + b" HTTP/1.1\r\n" + fields)
        closed = asyncio.create_task(reader.read())
        while not closed.done():
            writer.write(b" ")
            await asyncio.wait({closed}, timeout=0.05)
        assert int((await closed).split()[1]) in (408, 409)


async def test_a_request_may_come_in_pieces(api: LiveApi) -> None:
    async with connection(api) as (reader, writer):
        for piece in (HEAD[:10], HEAD[10:30], HEAD[30:] + b"Connection: close\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200")


async def test_work_takes_as_long_as_it_takes(api: LiveApi) -> None:
    answer = await api.client.post(
        "/videos",
        json={"prompt": "pace 0.4", "num_inference_steps": 3},
        headers={"prefer": "wait=20"},
    )
    assert answer.json()["status"] == "completed"
    assert answer.elapsed.total_seconds() > 2 * PATIENCE


async def test_a_client_that_does_not_read_is_cut_off(api: LiveApi) -> None:
    job = await api.finished()
    path = api.state["files"].video_path(job["id"], job["fence"])
    await asyncio.to_thread(path.write_bytes, bytes(64 * 2**20))  # more than the kernel's buffers hold
    connections = await open_connections(api)
    async with connection(api) as (reader, writer):
        writer.write(f"GET /videos/{job['id']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readexactly(100)
        await eventually(lambda: more_than(api, connections))
        await eventually(lambda: no_more_than(api, connections))


async def open_connections(api: LiveApi) -> int:
    return len(api.server.server_state.connections)


async def more_than(api: LiveApi, connections: int) -> bool:
    return await open_connections(api) > connections


async def no_more_than(api: LiveApi, connections: int) -> bool:
    return await open_connections(api) <= connections


async def test_past_the_limit_a_connection_is_told_so(tmp_path: Path) -> None:
    async with live_api(tmp_path, max_connections=2) as api:
        assert (await api.client.get("/health/live")).status_code == 200
        async with connection(api), connection(api) as (reader, _):
            status, error = await answer_of(reader)
            assert (status, error["code"]) == (503, "too_many_connections")
        await eventually(lambda: no_more_than(api, 1))
        assert (await api.client.get("/health/live")).status_code == 200


@pytest.mark.parametrize(("size", "status"), [(16 * 1024, 200), (16 * 1024 + 1, 431), (60 * 1024, 431)])
async def test_headers_have_a_limit(api: LiveApi, size: int, status: int) -> None:
    path, fields = "/health/live", {"Host": "localhost", "Connection": "close", "X-Filler": ""}
    rest = len(path) + sum(len(name) + len(value) for name, value in fields.items())
    fields["X-Filler"] = "x" * (size - rest)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with connection(api) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
    assert int(answer.split()[1]) == status
    if status == 431:
        assert b'"code":"headers_too_large"' in answer


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 422), (MAX_BODY_BYTES + 1, 413)])
@pytest.mark.parametrize("declared", [True, False])
async def test_bodies_have_a_limit(api: LiveApi, size: int, status: int, declared: bool) -> None:
    body = b'{"prompt": "' + b"x" * (size - 14) + b'"}'
    assert len(body) == size

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 2**16):
            yield body[start : start + 2**16]

    answer: httpx2.Response = await api.client.post(
        "/videos",
        content=body if declared else chunks(),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == ("body_too_large" if status == 413 else "invalid_value")
