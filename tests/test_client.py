"""The Python client against the real service."""

import asyncio
import gc
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_type_hints

import pytest
import pytest_asyncio

from authentication import create_key
from clients import (
    AsyncClient,
    Client,
    ClientClosed,
    Conflict,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    Options,
    PermissionDenied,
    TooManyRequests,
    Unauthenticated,
    Update,
    WaitTimeout,
)
from clients.records import Defaults, Filters, Job, Limits, Model, Params, Tier, Video
from models import responses, video
from routers.listing import JobFilters
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("client")) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: LiveApi) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(url_of(api)) as client:
        yield client


def url_of(api: LiveApi) -> str:
    return str(api.client.base_url)


async def in_thread(work, *arguments, **options):  # type: ignore[no-untyped-def]
    """A blocking call beside the service, which has this thread."""
    return await asyncio.to_thread(work, *arguments, **options)


# What is asked and answered


async def test_it_knows_all_parameters_and_filters() -> None:
    assert get_type_hints(Options).keys() == video.VideoCreate.model_fields.keys() - {"prompt"}
    assert get_type_hints(Filters).keys() == JobFilters.model_fields.keys() - {"limit", "after"}


async def test_it_reads_what_the_service_writes() -> None:
    pairs = (
        (Job, responses.JobResponse),
        (Params, video.VideoParams),
        (Video, video.Video),
        (Model, responses.ModelResponse),
        (Limits, responses.ModelLimits),
        (Defaults, responses.ModelDefaults),
        (Tier, responses.ModelTier),
    )
    for ours, theirs in pairs:
        unknown = ours.model_fields.keys() - theirs.model_fields.keys()
        assert not unknown, f"{ours.__name__} has fields that the service does not answer"


async def test_one_line_makes_a_clip(api: LiveApi, tmp_path: Path) -> None:
    def one_line() -> Path:
        return Client(url_of(api)).generate("a red circle moving left", seed=7).save(tmp_path / "out.mp4")

    path = await in_thread(one_line)
    assert path == tmp_path / "out.mp4"
    assert path.read_bytes()[4:8] == b"ftyp"
    assert os.listdir(tmp_path) == ["out.mp4"], "nothing else is left behind"


async def test_generate_shows_every_step(client: AsyncClient) -> None:
    seen: list[Update] = []
    clip = await client.generate("pace 0.01", num_inference_steps=5, on_progress=seen.append, seed=3)
    assert clip.job.status == "completed"
    assert clip.job.params.seed == 3
    assert [update.job.progress.step for update in seen if update.job.status == "in_progress"][-1] == 5
    assert [update.job.status for update in seen][-1] == "completed"
    assert sum(update.job.is_final for update in seen) == 1
    data = await clip.read()
    assert clip.job.video is not None
    assert hashlib.sha256(data).hexdigest() == clip.job.video.sha256
    assert await clip.read("thumbnail") == b"thumbnail"


async def test_the_blocking_client_calls_back_in_the_callers_thread(api: LiveApi) -> None:
    threads: set[int] = set()

    def work() -> int:
        with Client(url_of(api)) as client:
            client.generate("a star", on_progress=lambda _: threads.add(threading.get_ident()))
        return threading.get_ident()

    assert threads == {await in_thread(work)}


async def test_a_failed_job_says_why(client: AsyncClient) -> None:
    with pytest.raises(JobFailed, match="out_of_memory: try 32") as caught:
        await client.generate("refuse out_of_memory try 32")
    assert caught.value.job.error is not None
    again = await client.retry(caught.value.job.id)
    assert again.retry_of == caught.value.job.id


async def test_cancel_and_delete(client: AsyncClient, tmp_path: Path) -> None:
    job = await client.create(f"wait {tmp_path / 'never'}")
    waiting = asyncio.ensure_future(client.wait(job.id))
    with pytest.raises(Conflict, match="cancel it first") as caught:
        await client.delete(job.id)
    assert caught.value.code == "job_not_ended"
    assert (await client.cancel(job.id)).id == job.id
    with pytest.raises(JobCancelled):
        await waiting
    await client.delete(job.id)
    with pytest.raises(NotFound) as missing:
        await client.get(job.id)
    assert (missing.value.status, missing.value.code, missing.value.param) == (404, "job_not_found", "id")
    assert missing.value.request_id


async def test_waiting_ends_when_told_to_and_the_job_goes_on(client: AsyncClient, tmp_path: Path) -> None:
    job = await client.create(f"wait {tmp_path / 'go'}")
    with pytest.raises(WaitTimeout):
        await client.wait(job.id, timeout=0.3)
    (tmp_path / "go").touch()
    assert (await client.wait(job.id)).status == "completed"


async def test_a_wrong_parameter_is_named(client: AsyncClient) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await client.create("a star", width=63)
    assert (caught.value.status, caught.value.param) == (422, "width")


async def test_list_pages_and_filters(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.async_client._PAGE", 2)
    made = [(await client.create("page turner", metadata={"n": str(n)})).id for n in range(5)]
    listed = [job.id async for job in client.list(q="page turner")]
    assert listed == made[::-1]
    assert [job.id async for job in client.list(q="page turner", order="asc", limit=3)] == made[:3]
    assert [job.id async for job in client.list(limit=0)] == []
    with pytest.raises(InvalidRequest, match="status"):
        [job async for job in client.list(status="odd")]  # type: ignore[arg-type]


async def test_list_of_the_blocking_client(api: LiveApi) -> None:
    def work() -> list[str]:
        with Client(url_of(api)) as client:
            # The rest of the pages is never asked for.
            return [next(iter(client.list())).id] + [job.id for job in client.list(limit=3)]

    ids = await in_thread(work)
    assert ids[0] == ids[1]


async def test_models_and_links(client: AsyncClient) -> None:
    models = {model.id: model for model in await client.models()}
    assert models["demo"].default
    assert models["demo"].limits.width.maximum == 128
    assert [tier.quality for tier in models["demo"].tiers] == ["exact", "balanced", "fast"]
    clip = await client.generate("a star", quality="fast")
    assert clip.job.params.quality == "fast"
    link = await client.link(clip.job.id, expires_in=60)
    assert f"/videos/{clip.job.id}" in link.url


# Keys and limits


async def test_keys_are_read_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, entry = create_key("alice")
    async with live_api(tmp_path, api_keys=entry) as api:
        monkeypatch.setenv("T2V_URL", url_of(api))
        async with AsyncClient() as client:
            with pytest.raises(Unauthenticated) as caught:
                await client.models()
            assert caught.value.code == "missing_api_key"
        async with AsyncClient(api_key="wrong") as client:
            with pytest.raises(Unauthenticated):
                await client.models()
        monkeypatch.setenv("T2V_API_KEY", key)
        async with AsyncClient() as client:
            assert await client.models()
            body = {"name": "reader", "owner": "alice", "scopes": ["read"]}
            made = await api.client.post("/keys", json=body, headers={"X-API-Key": key})
        async with AsyncClient(api_key=made.json()["key"]) as client:
            with pytest.raises(PermissionDenied) as refused:
                await client.create("a star")
            assert refused.value.code == "missing_scope"


async def test_a_rate_limit_is_waited_out(tmp_path: Path) -> None:
    async with live_api(tmp_path, rate_limit="2/2seconds") as api, AsyncClient(url_of(api)) as client:
        jobs = await asyncio.gather(*(client.create("a star") for _ in range(4)))
        assert len({job.id for job in jobs}) == 4
        async with AsyncClient(url_of(api), patience=0) as hasty:
            with pytest.raises(TooManyRequests) as caught:
                await asyncio.gather(*(hasty.create("a star") for _ in range(3)))
        assert caught.value.retry_after is not None


# Opening and closing


@pytest.mark.parametrize(
    ("url", "key", "named"),
    [
        ("localhost:8000", None, "url"),
        ("ftp://x", None, "url"),
        ("http://", None, "url"),
        (None, "ключ", "api_key"),
    ],
)
async def test_what_cannot_be_an_address_or_key_is_refused(
    url: str | None, key: str | None, named: str
) -> None:
    with pytest.raises(ValueError, match=f"^{named}:"):
        Client(url, key)


async def test_a_client_that_nobody_holds_ends_its_thread(api: LiveApi) -> None:
    def threads() -> list[threading.Thread]:
        gc.collect()
        return [thread for thread in threading.enumerate() if thread.name == "text-to-video client"]

    await eventually(lambda: not threads())
    client = Client(url_of(api))
    await in_thread(client.models)
    assert len(threads()) == 1
    del client
    await eventually(lambda: not threads())


async def test_a_closed_client_says_so(api: LiveApi) -> None:
    client = Client(url_of(api))
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.models()


async def test_what_is_under_way_when_a_client_is_closed_ends(api: LiveApi, client: AsyncClient) -> None:
    job = await client.create(f"wait {api.folder / 'nothing'}")
    blocking = Client(url_of(api))
    waiting = asyncio.ensure_future(in_thread(blocking.wait, job.id))
    await api.until(job.id, "in_progress")
    await in_thread(blocking.close)
    with pytest.raises(ClientClosed):
        await waiting
    await api.cancel(job.id)
