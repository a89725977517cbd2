"""A service that stops refuses connections, and fails no request on those that it has taken."""

import asyncio
import contextlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.listener import take_no_more
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def listener() -> contextlib.closing[socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return contextlib.closing(listener)


def test_who_has_connected_is_accepted_and_nobody_after_him(
    listener: contextlib.closing[socket.socket],
) -> None:
    with listener as listening:
        address = listening.getsockname()
        with socket.create_connection(address) as early:
            take_no_more(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            accepted, _ = listening.accept()
            with accepted:
                early.sendall(b"question")
                accepted.setblocking(True)
                assert accepted.recv(100) == b"question"
            with pytest.raises(BlockingIOError):
                listening.accept()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


async def is_refused(address: tuple[str, int]) -> bool:
    try:
        _, writer = await asyncio.open_connection(*address)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """One answer, without its chunks' ends, from a connection that goes on."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(length.split(b":")[1]))


def address_of(api: LiveApi) -> tuple[str, int]:
    parts = urlsplit(str(api.client.base_url))
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


async def test_connections_taken_before_the_stop_are_answered_after_it(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api, contextlib.AsyncExitStack() as stack:
        address = address_of(api)
        connections = {}
        for name in ("new", "half a request", "idle", "silent"):
            reader, writer = await asyncio.open_connection(*address)
            stack.callback(writer.close)
            connections[name] = reader, writer
        connections["half a request"][1].write(REQUEST[:20])
        reader, writer = connections["idle"]
        writer.write(REQUEST)
        assert b"connection: close" not in (await answer_of(reader)).lower()
        # Several wait in the kernel, where the service has not seen them yet.
        unseen = [stack.enter_context(socket.create_connection(address)) for _ in range(5)]

        api.state["closing"].set()
        api.server.should_exit = True
        await eventually(lambda: is_refused(address), 10, "it still takes connections")

        connections["new"][1].write(REQUEST)
        connections["half a request"][1].write(REQUEST[20:])
        connections["idle"][1].write(REQUEST)
        for name in ("new", "half a request", "idle"):
            reader, _ = connections[name]
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(b"HTTP/1.1 200"), name
            assert b"connection: close" in answer.lower(), name
        for client in unseen:
            client.sendall(REQUEST)
            client.settimeout(10)
            assert (await asyncio.to_thread(client.recv, 12)) == b"HTTP/1.1 200"
        # Who says nothing is let go.
        assert await asyncio.wait_for(connections["silent"][0].read(), 10) == b""


async def test_an_answer_that_had_begun_leaves_its_connection_open_for_one_more(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        job = await api.waiting()
        reader, writer = await asyncio.open_connection(*address_of(api))
        writer.write(f"GET /jobs/{job['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        begun = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert b"connection: close" not in begun.lower()
        api.state["closing"].set()
        api.server.should_exit = True
        await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)  # the stream's end
        writer.write(REQUEST)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        writer.close()
