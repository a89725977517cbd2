"""Receives the webhooks of a chaos run."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.mongo import LOOPBACK

ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Receiver:
    """``events``: by job, how often each pair of event id and type has come. ``url``: where to send them."""

    def __init__(self) -> None:
        self.events: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self.url = ""

    @property
    def repeats(self) -> int:
        """Deliveries beyond the first of each event: at least once is what is promised."""
        return sum(sum(counts.values()) - len(counts) for counts in self.events.values())

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/hook"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
            event = json.loads(await reader.readexactly(int(fields["content-length"])))
            self.events[event["data"]["id"]][event["id"], event["type"]] += 1
            writer.write(ANSWER)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the sender was killed in its middle
            return
        finally:
            writer.close()
