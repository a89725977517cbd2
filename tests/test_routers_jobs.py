"""The history of jobs, and what can be done with one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.live_api import LiveApi, live_api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("jobs")) as api:
        yield api


async def ids(api: LiveApi, **query: Any) -> list[str]:
    answer = await api.client.get("/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["data"]]


async def test_pages_meet_without_gap_or_overlap(api: LiveApi) -> None:
    made = [(await api.create(f"paging {number}"))["id"] for number in range(5)]
    for order, expected in (("desc", made[::-1]), ("asc", made)):
        seen: list[str] = []
        query: dict[str, Any] = {"q": "paging", "limit": 2, "order": order}
        while True:
            page = (await api.client.get("/jobs", params=query)).json()
            seen += [job["id"] for job in page["data"]]
            assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
            if not page["has_more"]:
                break
            query["after"] = page["last_id"]
        assert seen == expected


async def test_filters(api: LiveApi) -> None:
    old = await api.finished("Filter (by) 100% TEXT.*")
    failed = await api.until((await api.create("refuse invalid_output filter"))["id"], "failed")
    assert await ids(api, q="filter", status="completed") == [old["id"]]
    assert await ids(api, q="(BY) 100%") == [old["id"]]
    assert await ids(api, q=".*") == [old["id"]]
    assert await ids(api, q="filter", created_after=old["created_at"]) == [failed["id"]]
    assert await ids(api, q="filter", created_before=failed["created_at"]) == [old["id"]]
    assert await ids(api, q="filter", model="zeroscope_v2_576w") == []
    assert await ids(api, created_before="2000-01-01T00:00:00") == []
    empty = (await api.client.get("/jobs", params={"q": "nobody said this"})).json()
    assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"state": "failed"}, "state"),
        ({"status": "done"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"order": "random"}, "order"),
        ({"after": "' or 1"}, "after"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "2026"}, "created_after"),
        ({"created_after": "-5.5e-180"}, "created_after"),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, "created_before"),
        ({"created_after": "9999-12-31T23:59:59-14:00"}, "created_after"),
        ({"q": "\x00"}, "q"),
        ({"q": ""}, "q"),
    ],
)
async def test_a_filter_that_is_none(api: LiveApi, query: dict[str, str], param: str) -> None:
    answer = await api.client.get("/jobs", params=query)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param


async def test_progress_and_estimate_of_a_running_job(api: LiveApi) -> None:
    running = await api.create("pace 0.05", num_inference_steps=40)
    while (job := await api.job(running["id"]))["progress"]["step"] < 5:
        assert job["status"] in ("queued", "in_progress")
    assert job["progress"]["percent"] == pytest.approx(100 * job["progress"]["step"] / 40, abs=0.1)
    assert 0 < job["eta_seconds"] < 20
    await api.cancel(running["id"])


async def test_cancel(api: LiveApi) -> None:
    running, queued = await api.waiting(), await api.create()
    answer = await api.client.post(f"/jobs/{queued['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = await api.client.post(f"/jobs/{queued['id']}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    asked = (await api.client.post(f"/jobs/{running['id']}/cancel")).json()
    assert asked["cancel_requested"] or asked["status"] == "cancelled"
    await api.until(running["id"], "cancelled")
    done = await api.finished()
    refused = await api.client.post(f"/jobs/{done['id']}/cancel")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_ended")


async def test_retry_makes_a_new_job_with_the_same_parameters(api: LiveApi) -> None:
    failed = await api.until((await api.create("refuse invalid_output", seed=9))["id"], "failed")
    answer = await api.client.post(f"/jobs/{failed['id']}/retry")
    new = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{new['id']}"
    assert new["id"] != failed["id"] == new["retry_of"]
    assert new["params"] == failed["params"]
    await api.until(new["id"], "failed")
    done = await api.finished()
    refused = await api.client.post(f"/jobs/{done['id']}/retry")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_retryable")


async def test_a_retry_under_one_key_makes_one_job(api: LiveApi) -> None:
    first, second = [
        await api.until((await api.create("refuse invalid_output"))["id"], "failed") for _ in range(2)
    ]
    headers = {"Idempotency-Key": "again"}
    path = f"/jobs/{first['id']}/retry"
    answers = [await api.client.post(path, headers=headers) for _ in range(3)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true", "true"]
    assert {answer.status_code for answer in answers} == {202}
    assert (await api.client.post(path)).json()["id"] != answers[0].json()["id"]
    other = await api.client.post(f"/jobs/{second['id']}/retry", headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    for answer in answers:
        await api.until(answer.json()["id"], "failed")


async def test_delete_takes_record_and_file(api: LiveApi) -> None:
    done, running = await api.finished(), await api.waiting()
    path = api.state["files"].video_path(done["id"], done["fence"])
    assert path.exists()
    answer = await api.client.delete(f"/jobs/{done['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not path.exists()
    for method, url in [("GET", "/jobs/{}"), ("DELETE", "/jobs/{}"), ("GET", "/videos/{}")]:
        assert (await api.client.request(method, url.format(done["id"]))).status_code == 404
    refused = await api.client.delete(f"/jobs/{running['id']}")
    assert refused.status_code == 409
    assert "cancel" in refused.json()["error"]["message"]
    await api.cancel(running["id"])
    assert (await api.client.delete(f"/jobs/{running['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/events")],
)
async def test_an_unknown_job(api: LiveApi, method: str, path: str) -> None:
    answer = await api.client.request(method, f"/jobs/video_unknown{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "job_not_found"
