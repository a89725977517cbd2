"""Making clips, listing them, and links."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.live_api import LiveApi, live_api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("videos"), max_queued=5) as api:
        yield api


async def test_a_job_is_queued_with_every_parameter(api: LiveApi) -> None:
    body = {"prompt": "a red circle", "num_inference_steps": 3, "metadata": {"take": "1", "été": ""}}
    answer = await api.client.post("/videos", json=body)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{job['id']}" == job["urls"]["job"]
    assert job["object"] == "video"
    assert job["metadata"] == body["metadata"]
    assert job["params"]["num_inference_steps"] == job["progress"]["total"] == 3
    assert job["params"]["seed"] is not None
    assert "lease" not in job
    assert "write_token" not in job
    done = await api.until(job["id"], "completed")
    assert (await api.client.get(done["urls"]["video"])).status_code == 200


async def test_a_job_says_its_quality(api: LiveApi) -> None:
    job = await api.create("x", quality="fast")
    demo = (await api.client.get("/models/demo")).json()
    fast = next(tier for tier in demo["tiers"] if tier["quality"] == "fast")
    assert job["params"]["quality"] == "fast"
    assert job["params"]["num_inference_steps"] == job["progress"]["total"] == fast["num_inference_steps"]
    assert (await api.until(job["id"], "completed"))["params"] == job["params"]
    assert (await api.finished("x", quality=None))["params"]["quality"] == "exact"
    answer = await api.client.post("/videos", json={"prompt": "x", "quality": "best"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "quality")
    assert "'fast', 'balanced' or 'exact'" in answer.json()["error"]["message"]


async def test_prefer_wait_holds_the_answer_until_done(api: LiveApi) -> None:
    answer = await api.client.post("/videos", json={"prompt": "x"}, headers={"prefer": "wait=20"})
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.headers["preference-applied"] == "wait=20"


async def test_prefer_wait_ends_after_its_time(api: LiveApi) -> None:
    body = {"prompt": f"wait {api.folder / 'never'}"}
    answer = await api.client.post("/videos", json=body, headers={"prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.json()["status"] == "in_progress"
    await api.cancel(answer.json()["id"])


async def test_an_idempotency_key_makes_one_job(api: LiveApi) -> None:
    headers = {"idempotency-key": "once"}
    answers = await asyncio.gather(
        *(api.client.post("/videos", json={"prompt": "x", "fps": 8}, headers=headers) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.json()["params"]["seed"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    reordered = await api.client.post(
        "/videos", content=b'{"fps":8 , "prompt":"x"}', headers=headers | {"content-type": "application/json"}
    )
    assert reordered.json()["id"] == answers[0].json()["id"]
    assert reordered.headers["idempotency-replayed"] == "true"
    other = await api.client.post("/videos", json={"prompt": "y"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    await api.until(reordered.json()["id"], "completed")


async def test_a_key_reserved_before_a_crash_is_healed_by_the_replay(api: LiveApi) -> None:
    store = api.state["store"]
    first = await api.client.post("/videos", json={"prompt": "x"}, headers={"idempotency-key": "crash"})
    await api.until(first.json()["id"], "completed")
    assert await store.delete(first.json()["id"])  # as if the insert had never come
    again = await api.client.post("/videos", json={"prompt": "x"}, headers={"idempotency-key": "crash"})
    assert again.json()["id"] == first.json()["id"]
    await api.until(again.json()["id"], "completed")


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "é"])
async def test_a_key_that_is_none(api: LiveApi, key: str) -> None:
    answer = await api.client.post(
        "/videos", json={"prompt": "x"}, headers=[("idempotency-key", key.encode())]
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "idempotency-key"


async def test_a_full_queue_says_when_to_come_back(api: LiveApi) -> None:
    running = await api.waiting()
    waiting = [await api.create() for _ in range(5)]
    assert [job["queue_position"] for job in waiting] == [0, 1, 2, 3, 4]
    answer = await api.client.post("/videos", json={"prompt": "x"})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "queue_full"
    assert int(answer.headers["retry-after"]) > 0
    await api.cancel(running["id"])
    for job in waiting:
        await api.until(job["id"], "completed")


async def test_videos_lists_finished_clips_newest_first(api: LiveApi) -> None:
    first, second = await api.finished(seed=1), await api.finished(seed=2)
    await api.until((await api.create("refuse invalid_output"))["id"], "failed")
    page = (await api.client.get("/videos", params={"limit": 2})).json()
    assert [job["id"] for job in page["data"]] == [second["id"], first["id"]]
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", second["id"], first["id"])
    assert page["has_more"] is True
    assert (await api.client.get("/videos", params={"status": "failed"})).status_code == 422


async def test_a_link_is_absolute_and_ends(api: LiveApi) -> None:
    job = await api.finished()
    answer = await api.client.post(f"/videos/{job['id']}/link", params={"expires_in": 60})
    link = answer.json()
    remaining = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
    assert 50 < remaining.total_seconds() <= 60
    assert (await api.client.get(link["url"])).status_code == 200
    query = urlsplit(link["url"]).query
    assert (await api.client.get(f"/videos/{job['id']}/thumbnail?{query}")).status_code == 200
    other = await api.finished()
    stolen = await api.client.get(f"/videos/{other['id']}?{query}")
    assert (stolen.status_code, stolen.json()["error"]["code"]) == (403, "invalid_signature")
    half = await api.client.get(f"/videos/{job['id']}?{query.split('&')[0]}")
    assert half.status_code == 422
    for seconds in (0, 10**9):
        refused = await api.client.post(f"/videos/{job['id']}/link", params={"expires_in": seconds})
        assert refused.status_code == 422
