"""A TCP proxy that breaks connections where a test wants it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pymongo.uri_parser import parse_uri

from tests.waiting import eventually


def plain_address(mongo_uri: str) -> tuple[str, int]:
    """The server's host and port; skips the test where the proxy cannot stand in between."""
    if mongo_uri.startswith("mongodb+srv"):
        pytest.skip("the address is found by DNS")
    parsed = parse_uri(mongo_uri)
    if parsed["options"].get("tls") or parsed["username"]:
        pytest.skip("the proxy passes neither TLS nor credentials on")
    host, port = parsed["nodelist"][0]
    return str(host), int(port)


class Proxy:
    """Between a client and a server. Close the client first.

    Attributes:
        lose_answer_to: When a request that holds these bytes has reached the server and been answered, the
            connection is cut instead of handing the answer on. Once.
        lose_request: As above, but the request itself never reaches the server. Once.
        meanwhile: What others do after an answer was lost and before its client learns of it.
        requests: Every request, as sent.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.lose_answer_to: bytes | None = None
        self.lose_request: bytes | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.losses = 0
        self.requests: list[bytes] = []
        self.port = 0
        self._connections: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await eventually(lambda: not self._connections, message="a client is still connected")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            await self._pass_on(reader, writer)
        finally:
            await _close(writer)
            self._connections.discard(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        losing = asyncio.Event()

        async def requests() -> None:
            while request := await _message(reader):
                self.requests.append(request)
                if self.lose_request is not None and self.lose_request in request:
                    self.lose_request = None
                    self.losses += 1
                    return
                if self.lose_answer_to is not None and self.lose_answer_to in request:
                    self.lose_answer_to = None
                    losing.set()
                server_writer.write(request)

        async def answers() -> None:
            while answer := await _message(server_reader):
                if losing.is_set():
                    self.losses += 1
                    if self.meanwhile is not None:
                        await self.meanwhile()
                    return
                writer.write(answer)

        directions = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.wait(directions)
            await _close(server_writer)


async def _close(stream: asyncio.StreamWriter) -> None:
    stream.close()
    with contextlib.suppress(ConnectionError):
        await stream.wait_closed()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One message of MongoDB's wire protocol (its length comes first); empty at the end of the stream."""
    try:
        head = await reader.readexactly(4)
        return head + await reader.readexactly(int.from_bytes(head, "little") - 4)
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""
