"""Webhooks as OpenAI's Python package reads them: ``client.webhooks.unwrap``, unmodified.

It has no classes for videos' events and makes them one of those that it has: their fields are what counts.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI

from tests.live_api import live_api
from tests.waiting import eventually

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Receiver:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[tuple[dict[str, str], bytes]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append((headers, body))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield receiver


@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
async def test_the_package_verifies_and_reads_each_event(tmp_path: Path) -> None:
    async with (
        receiving() as receiver,
        live_api(tmp_path, webhook_secret=SECRET, webhook_allow_private="127.0.0.0/8") as api,
        AsyncOpenAI(
            base_url=str(api.client.base_url.join("/v1")), api_key="none", webhook_secret=SECRET
        ) as client,
    ):
        hook = {"webhook_url": receiver.url}
        made = await client.videos.create(prompt="a red circle", extra_body=hook)
        failed = await client.videos.create(prompt="refuse out_of_memory", extra_body=hook)
        remix = await client.videos.remix((await client.videos.poll(made.id)).id, prompt="a blue circle")
        await client.videos.poll(remix.id)
        await client.videos.poll(failed.id)
        cancelled = await api.create(f"wait {api.folder / 'never'}", **hook)
        await api.cancel(cancelled["id"])
        await eventually(lambda: len(receiver.received) == 4, 60)
        events = {}
        for headers, body in receiver.received:
            event = client.webhooks.unwrap(body, headers)
            assert event.object == "event"
            assert event.id == headers["webhook-id"]
            events[event.data.id] = event
        assert {job_id: event.type for job_id, event in events.items()} == {
            made.id: "video.completed",
            remix.id: "video.completed",
            failed.id: "video.failed",
            cancelled["id"]: "video.cancelled",
        }
        completed = await client.videos.retrieve(made.id)
        assert completed.completed_at is not None
        assert abs(events[made.id].created_at - completed.completed_at) <= 1
        headers, body = receiver.received[0]
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(body.replace(b'"id"', b'"it"'), headers)
