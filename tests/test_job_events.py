"""Following a job by server-sent events."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from services.job_store import utc_now
from tests.generators import make_preview
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("events")) as api:
        yield api


async def events(answer: httpx2.Response) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Each event's id, name and data."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


async def test_a_job_is_followed_to_its_end(api: LiveApi) -> None:
    job = await api.create("pace 0.02", num_inference_steps=15)
    async with api.client.stream("GET", f"/jobs/{job['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        seen = [event async for event in events(answer)]
    names = [name for _, name, _ in seen]
    statuses = [data["status"] for _, name, data in seen if name == "status"]
    steps = [data["step"] for _, name, data in seen if name == "progress"]
    assert statuses in (["queued", "in_progress", "completed"], ["in_progress", "completed"])
    assert len(steps) > 5
    assert steps == sorted(steps)
    assert all(
        {"step", "total", "percent", "eta_seconds"} == set(data)
        for _, name, data in seen
        if name == "progress"
    )
    assert names[-2:] == ["status", "end"]
    assert seen[-1][2]["video"]["num_frames"] == 16
    assert len({event_id for event_id, _, _ in seen}) == len(seen)


async def test_previews_come_with_the_steps_and_are_kept_nowhere(api: LiveApi) -> None:
    job = await api.create("pace 0.05", num_inference_steps=10)
    async with api.client.stream("GET", f"/jobs/{job['id']}/events") as answer:
        seen = [(name, data) async for _, name, data in events(answer)]
    previews = [data for name, data in seen if name == "preview"]
    steps = [data["step"] for data in previews]
    assert len(steps) > 3
    assert steps == sorted(set(steps))
    for data in previews:
        kind, _, image = data["image"].partition(",")
        assert kind == "data:image/jpeg;base64"
        assert base64.b64decode(image) == make_preview(data["step"])
    assert api.state["hub"].preview(job["id"]) is None
    stored = await api.state["database"].collection("jobs").find_one({"_id": job["id"]})
    assert "preview" not in str(stored)


async def test_who_comes_late_sees_the_newest_preview(api: LiveApi) -> None:
    job = await api.create("pace 0.2", num_inference_steps=100)

    async def has_preview() -> bool:
        return api.state["hub"].preview(job["id"]) is not None

    await eventually(has_preview)
    async with api.client.stream("GET", f"/jobs/{job['id']}/events") as answer:
        stream = events(answer)
        assert [(await anext(stream))[1] for _ in range(3)] == ["status", "progress", "preview"]
    await api.cancel(job["id"])


async def test_an_ended_job_says_so_at_once(api: LiveApi) -> None:
    job = await api.finished()
    async with api.client.stream("GET", f"/jobs/{job['id']}/events") as answer:
        assert [name async for _, name, _ in events(answer)] == ["status", "end"]


async def test_what_other_processes_write_arrives_too(api: LiveApi) -> None:
    """The record is changed behind the back of this process's hub."""
    running, job = await api.waiting(), await api.create()
    async with api.client.stream("GET", f"/jobs/{job['id']}/events") as answer:
        stream = events(answer)
        assert (await anext(stream))[2]["status"] == "queued"
        await api.state["store"].request_cancel(job["id"])
        assert (await anext(stream))[2]["status"] == "cancelled"
        assert (await anext(stream))[1] == "end"
    await api.cancel(running["id"])


async def test_a_reader_who_leaves_is_forgotten(api: LiveApi) -> None:
    running = await api.waiting()
    tasks = len(asyncio.all_tasks())
    async with api.client.stream("GET", f"/jobs/{running['id']}/events") as answer:
        await anext(events(answer))
        assert len(asyncio.all_tasks()) > tasks
    await eventually(lambda: not api.state["hub"].watched, 5, "the subscription stays")
    await api.cancel(running["id"])


async def test_a_deleted_job_ends_its_stream(api: LiveApi) -> None:
    running, job = await api.waiting(), await api.create()
    async with api.client.stream("GET", f"/jobs/{job['id']}/events") as answer:
        stream = events(answer)
        await anext(stream)
        await api.state["store"].request_cancel(job["id"])
        assert await api.state["store"].delete(job["id"])
        assert [name async for _, name, _ in stream] in ([], ["status", "end"])
    await api.cancel(running["id"])


async def test_a_stopping_service_ends_streams_and_held_answers(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        running = await api.waiting()
        started = utc_now()
        held = asyncio.create_task(
            api.client.post("/videos", json={"prompt": "x"}, headers={"prefer": "wait=60"})
        )
        async with api.client.stream("GET", f"/jobs/{running['id']}/events") as answer:
            stream = events(answer)
            await anext(stream)
            await eventually(lambda: api.state["hub"].watched >= 2)
            api.state["closing"].set()
            async for _ in stream:
                pass
        assert (await held).status_code == 202
        assert (utc_now() - started).total_seconds() < 10
