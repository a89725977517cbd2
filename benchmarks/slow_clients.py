"""What hung clients cost the others.

    python -m benchmarks.slow_clients [--hung 200] [--requests 2000]

Sends the same requests to a running service twice in turn: alone, and while so many connections hang: a third
of them sends headers a byte a second, a third a body, and a third does not read a long answer. A connection
that the service closes is opened again. Prints percentiles of both, and their ratio.
"""

import argparse
import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from benchmarks.running_service import request, running_service

ROUNDS = 8
CONCURRENCY = 4
LONG_ANSWER = "/static/swagger-ui/swagger-ui-bundle.js"
SMALL_BUFFER = 4096
PACE_SECONDS = 1.0
SETTLE_SECONDS = 5.0
LONG_ANSWERS = 6  # more than the kernel's buffers hold
Way = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATHS = ("/jobs", "/models", "/health/live", "/jobs?status=completed&limit=100")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hung", type=int, default=200, help="connections that hang")
    parser.add_argument("--requests", type=int, default=2000, help="requests each way")
    arguments = parser.parse_args()
    with running_service() as client:
        # So that lists are not empty.
        request(client, {"prompt": "a red circle", "num_inference_steps": 1}, 0)
        asyncio.run(compare(str(client.base_url), arguments.hung, arguments.requests))


async def compare(url: str, hung: int, requests: int) -> None:
    crowd = Crowd(url, hung)
    alone: list[float] = []
    crowded: list[float] = []
    await load(url, requests // ROUNDS)  # warms both sides
    for _ in range(ROUNDS):
        alone += await load(url, requests // ROUNDS)
        async with crowd.hanging():
            crowded += await load(url, requests // ROUNDS)
    for name, seconds in (("alone", alone), (f"beside {hung} hung connections", crowded)):
        cuts = statistics.quantiles(seconds, n=100)
        shown = ", ".join(f"p{cut} {cuts[cut - 1] * 1000:.1f} ms" for cut in (50, 95, 99))
        print(f"{len(seconds)} requests {name}: {shown}, worst {max(seconds) * 1000:.1f} ms")
    ratio = statistics.quantiles(crowded, n=100)[98] / statistics.quantiles(alone, n=100)[98]
    print(f"p99 with / without: {ratio:.2f}; {crowd.closed} hung connections were closed by the service")


async def load(url: str, requests: int) -> list[float]:
    """Seconds that each request took, a few at a time."""
    seconds: list[float] = []
    numbers = iter(range(requests))

    async def send() -> None:
        reader, writer = await connected(url)
        for number in numbers:
            started = time.perf_counter()
            path = PATHS[number % len(PATHS)]
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise SystemExit(f"{path}: {head.decode()}")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
            seconds.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*[send() for _ in range(CONCURRENCY)])
    return seconds


class Crowd:
    """Connections that hang, in three ways."""

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self.closed = 0

    @contextlib.asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        ways = (self._send_headers, self._send_body, self._do_not_read)
        begun = [asyncio.Event() for _ in range(self._size)]
        tasks = [
            asyncio.create_task(self._hang(ways[number % 3], event)) for number, event in enumerate(begun)
        ]
        try:
            await asyncio.gather(*[event.wait() for event in begun])
            await asyncio.sleep(SETTLE_SECONDS)  # until the buffers between us are full and nothing moves
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _hang(self, way: Way, has_begun: asyncio.Event) -> None:
        while True:
            reader, writer = await connected(self._url, SMALL_BUFFER)
            has_begun.set()
            try:
                await way(reader, writer)
            except ConnectionError:
                self.closed += 1
            finally:
                writer.close()

    async def _send_headers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        await self._trickle(reader, writer)

    async def _send_body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000"
        writer.write(f"POST /videos HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        await self._trickle(reader, writer)

    async def _trickle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(PACE_SECONDS)
            if reader.at_eof():
                raise ConnectionResetError

    async def _do_not_read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"GET {LONG_ANSWER} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * LONG_ANSWERS)
        while True:
            await asyncio.sleep(PACE_SECONDS)
            if not await reader.read(1):
                raise ConnectionResetError


async def connected(
    url: str, receive_buffer: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
    return await asyncio.open_connection(sock=sock, limit=2**20 if receive_buffer is None else 1024)


if __name__ == "__main__":
    main()
