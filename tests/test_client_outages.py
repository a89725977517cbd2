"""The Python client where connections break, answers are lost, and services are away."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from clients import (
    AsyncClient,
    Conflict,
    CorruptDownload,
    JobFailed,
    ServiceUnreachable,
    UnexpectedAnswer,
    Update,
    following,
)
from tests.http_proxy import Cut, HttpProxy
from tests.live_api import LiveApi, live_api
from tests.running_service import SCRIPTED_SERVICE, free_port, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("client")) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: LiveApi) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(url_of(api)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def proxy(api: LiveApi) -> AsyncIterator[HttpProxy]:
    async with HttpProxy(api.client.base_url.port or 0).running() as proxy:
        yield proxy


def url_of(api: LiveApi) -> str:
    return str(api.client.base_url)


async def test_a_create_whose_answer_is_lost_makes_one_job(proxy: HttpProxy) -> None:
    async with AsyncClient(proxy.url) as client:
        await client.models()
        proxy.cuts = [Cut(b"POST /videos"), Cut(b"POST /videos", after=40)]
        job = await client.create("lost and found")
        assert proxy.count(b"POST /videos") == 3
        assert [found.id async for found in client.list(q="lost and found")] == [job.id]


async def test_a_retry_whose_answer_is_lost_makes_one_job(client: AsyncClient, proxy: HttpProxy) -> None:
    with pytest.raises(JobFailed) as failed:
        await client.generate("refuse timeout once")
    async with AsyncClient(proxy.url) as cut_off:
        await cut_off.models()
        proxy.cuts = [Cut(b"/retry"), Cut(b"/retry", after=40)]
        again = await cut_off.retry(failed.value.job.id)
        assert proxy.count(b"/retry") == 3
        made = [job async for job in client.list(q="refuse timeout once")]
        assert [job.id for job in made] == [again.id, failed.value.job.id]


async def test_a_broken_event_stream_is_taken_up_again(proxy: HttpProxy) -> None:
    async with AsyncClient(proxy.url) as client:
        await client.models()
        proxy.cuts = [Cut(b"/events"), Cut(b"/events", after=100), Cut(b"/events", after=4000)]
        clip = await client.generate("pace 0.05", num_inference_steps=20)
        assert clip.job.status == "completed"
        assert not proxy.cuts
        assert proxy.count(b"/events") == 4


async def test_progress_comes_through_where_events_do_not(
    proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "FIRST_EVENT_SECONDS", 0.2)
    proxy.held = b"/events"
    seen: list[Update] = []
    async with AsyncClient(proxy.url) as client:
        await client.generate("pace 0.1", num_inference_steps=20, on_progress=seen.append)
    assert proxy.count(b"/events") == 1
    assert [update.job.status for update in seen].count("in_progress") > 2


async def test_too_many_streams_are_asked_instead(tmp_path: Path) -> None:
    async with live_api(tmp_path, max_streams_per_owner=1) as api, AsyncClient(url_of(api)) as client:
        holding, running = await client.create(f"wait {tmp_path / 'go'}"), None
        stream = client.follow(holding.id)
        await anext(stream)
        running = asyncio.ensure_future(client.wait(holding.id))
        (tmp_path / "go").touch()
        assert (await running).status == "completed"
        await stream.aclose()


async def test_a_download_goes_on_where_it_broke_off(
    client: AsyncClient, proxy: HttpProxy, tmp_path: Path
) -> None:
    clip = await client.generate("a star")
    whole = await clip.read()
    target = tmp_path / "out.mp4"
    proxy.cuts = [Cut(b"GET /videos/", after=1500), Cut(b"GET /videos/", after=1200)]
    async with AsyncClient(proxy.url) as cut_off:
        assert await cut_off.download(clip.job.id, target) == target
    assert target.read_bytes() == whole
    assert proxy.count(b"GET /videos/") == 3
    assert proxy.count(b"Range: bytes=") + proxy.count(b"range: bytes=") == 2

    # By another process, later: the part says of which clip it is.
    assert clip.job.video is not None
    part = tmp_path / f".out.mp4.{clip.job.video.sha256[:16]}.part"
    for kept in (whole[:100], whole, whole + b"more"):
        target.unlink()
        part.write_bytes(kept)
        await client.download(clip.job.id, target)
        assert target.read_bytes() == whole
        assert not part.exists()


async def test_a_wrong_part_is_found_out(client: AsyncClient, tmp_path: Path) -> None:
    clip = await client.generate("a star")
    assert clip.job.video is not None
    part = tmp_path / f".out.mp4.{clip.job.video.sha256[:16]}.part"
    part.write_bytes(b"x" * 100)
    with pytest.raises(CorruptDownload):
        await clip.save(tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == []
    assert await clip.save(tmp_path) == tmp_path / f"{clip.job.id}.mp4"
    with pytest.raises(FileNotFoundError, match="no folder"):
        await clip.save(tmp_path / "missing" / "out.mp4")


async def test_what_is_unfinished_cannot_be_had(client: AsyncClient, tmp_path: Path) -> None:
    job = await client.create(f"wait {tmp_path / 'never'}")
    with pytest.raises(Conflict):
        await client.download(job.id, tmp_path / "out.mp4")
    await client.cancel(job.id)


async def test_no_service_is_said_at_once() -> None:
    port = free_port()
    async with AsyncClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ServiceUnreachable, match=str(port)):
            await client.models()


async def test_another_service_is_told_apart() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(UnexpectedAnswer, match="is its address right"):
            await client.models()


async def test_who_waits_outlasts_a_kill_of_the_service(tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with running_service(tmp_path / "data", module=SCRIPTED_SERVICE) as service:
        async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
            job = await client.create(f"wait {go_on}")
            waiting = asyncio.ensure_future(client.wait(job.id))
            await asyncio.to_thread(service.wait_for_step, job.id, 1)
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
            go_on.touch()
            assert (await waiting).attempt == 2
