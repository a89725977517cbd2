"""A TCP proxy before the service that breaks or holds back answers where a test wants it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.waiting import eventually


@dataclass(frozen=True)
class Cut:
    """The connection ends after so many bytes of the answer to a request that holds ``request``."""

    request: bytes
    after: int = 0


class HttpProxy:
    """Between clients and a service.

    Attributes:
        cuts: Each is made once, in their order.
        held: Answers to requests that hold these bytes never come through.
        requests: Every request's beginning, as sent.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.cuts: list[Cut] = []
        self.held: bytes | None = None
        self.requests: list[bytes] = []
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, text: bytes) -> int:
        """How many requests held ``text``."""
        return sum(text in request for request in self.requests)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["HttpProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in list(self._connections):
                connection.cancel()
            await eventually(lambda: not self._connections, message="a connection does not end")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._connections.add(this)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            writer.transport.abort()
            self._connections.discard(this)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service_reader, service_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        cut: Cut | None = None
        is_held = False

        async def requests() -> None:
            nonlocal cut, is_held
            while data := await reader.read(65536):
                self.requests.append(data)
                is_held = self.held is not None and self.held in data
                if self.cuts and self.cuts[0].request in data:
                    cut = self.cuts.pop(0)
                service_writer.write(data)

        async def answers() -> None:
            passed = 0
            while data := await service_reader.read(65536):
                if cut is not None:
                    data = data[: cut.after - passed]
                    passed += len(data)
                if not is_held:
                    writer.write(data)
                    await writer.drain()
                if cut is not None and passed >= cut.after:
                    return

        directions = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            # What was passed on is to arrive before the end does.
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()
            service_writer.close()
