"""Webhooks as callers of the running service meet them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from authentication import create_key
from tests.live_api import LiveApi, live_api
from tests.receiver import SECRET, Receiver, receiver
from tests.waiting import eventually

ON = {"webhook_secret": SECRET, "webhook_allow_private": "127.0.0.0/8"}


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path, **ON) as api:
        yield api


async def told(api: LiveApi, job: dict[str, Any], *statuses: str) -> list[dict[str, Any]]:
    """The job's deliveries, once they have these statuses."""

    async def there() -> list[dict[str, Any]] | None:
        answer = await api.client.get(job["urls"]["deliveries"])
        assert answer.status_code == 200, answer.text
        deliveries = answer.json()["data"]
        return deliveries if [each["status"] for each in deliveries] == list(statuses) else None

    result: list[dict[str, Any]] = await eventually(there, 40, f"{job['id']}: no {statuses}")
    return result


async def refused(api: LiveApi, url: Any) -> tuple[int, str, str, str]:
    answer = await api.client.post("/videos", json={"prompt": "x", "webhook_url": url})
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"], error["message"]


async def test_each_end_is_told_and_listed(api: LiveApi, hook: Receiver) -> None:
    completed = await api.finished(webhook_url=hook.url)
    failed = await api.until((await api.create("refuse out_of_memory", webhook_url=hook.url))["id"], "failed")
    stopped = await api.create(f"wait {api.folder / 'never'}", webhook_url=hook.url)
    await api.until(stopped["id"], "in_progress")
    waiting = await api.create(webhook_url=hook.url)
    for job in (waiting, stopped):
        await api.cancel(job["id"])
    ends = {
        completed["id"]: "video.completed",
        failed["id"]: "video.failed",
        stopped["id"]: "video.cancelled",
        waiting["id"]: "video.cancelled",
    }
    for job in (completed, failed, stopped, waiting):
        assert job["webhook_url"] == hook.url
        (delivery,) = await told(api, job, "delivered")
        assert delivery["event"] == ends[job["id"]]
        assert delivery["url"] == hook.url
        assert delivery["attempts"][0]["status_code"] == 204
        assert delivery["next_attempt_at"] is None
        assert "write_token" not in delivery
    assert {event["data"]["id"]: event["type"] for event in hook.events} == ends
    assert not hook.refused
    metrics = (await api.client.get("/metrics")).text
    assert 't2v_webhook_attempts_total{outcome="delivered"} 4.0' in metrics


async def test_a_job_without_webhook_has_no_deliveries(api: LiveApi) -> None:
    job = await api.finished()
    assert job["webhook_url"] is None
    answer = await api.client.get(f"/jobs/{job['id']}/deliveries")
    assert answer.json() == {"object": "list", "data": []}
    answer = await api.client.post(f"/jobs/{job['id']}/redeliver")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_webhook")


REFUSED = [
    ("http://10.0.0.1/", "webhook_address_refused", "public"),
    ("http://169.254.169.254/latest/meta-data", "webhook_address_refused", "public"),
    ("http://0x0a.1/", "webhook_address_refused", "public"),
    ("http://167772161/", "webhook_address_refused", "public"),
    ("http://[::1]/", "webhook_address_refused", "public"),
    ("http://[::ffff:127.0.0.1]/", "webhook_address_refused", "public"),
    ("http://[64:ff9b::7f00:1]/", "webhook_address_refused", "public"),
    ("http://user:secret@example.com/", "invalid_value", "user name or password"),
    ("ftp://example.com/", "invalid_value", "http or https"),
    ("https://example.com:25/", "invalid_value", "port"),
    ("https://example.com/" + "a" * 2048, "invalid_value", "2048"),
    (7, "invalid_value", "string"),
]


async def test_what_is_refused_at_the_door(api: LiveApi) -> None:
    for url, code, words in REFUSED:
        status, found, param, message = await refused(api, url)
        assert (status, found, param) == (422, code, "webhook_url"), url
        assert words in message
        assert "secret" not in message


async def test_without_a_secret_webhooks_are_off(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        status, code, param, message = await refused(api, "https://example.com/")
        assert (status, code, param) == (422, "webhooks_off", "webhook_url")
        assert "T2V_WEBHOOK_SECRET" in message
        assert (await api.finished(webhook_url=None))["webhook_url"] is None


async def test_a_retry_is_told_too_and_asked_for_again(api: LiveApi, hook: Receiver) -> None:
    hook.answers = [410]
    failed = await api.until((await api.create("refuse x", webhook_url=hook.url))["id"], "failed")
    (delivery,) = await told(api, failed, "failed")
    assert delivery["error"] == "the receiver answered 410 Gone"
    again = await api.client.post(f"/jobs/{failed['id']}/redeliver")
    assert again.status_code == 202
    assert again.json()["data"][0]["status"] in ("pending", "delivered")
    (delivery,) = await told(api, failed, "delivered")
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [410, 204]
    retried = (await api.client.post(f"/jobs/{failed['id']}/retry")).json()
    assert retried["webhook_url"] == hook.url
    await told(api, retried, "delivered")
    assert [event["data"]["id"] for event in hook.events] == [failed["id"]] * 2 + [retried["id"]]


async def test_before_its_end_there_is_nothing_to_send_again(api: LiveApi, hook: Receiver) -> None:
    job = await api.create(f"wait {api.folder / 'never'}", webhook_url=hook.url)
    answer = await api.client.post(f"/jobs/{job['id']}/redeliver")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_not_ended")
    await api.cancel(job["id"])


async def test_an_idempotency_key_is_bound_to_the_webhook_too(api: LiveApi, hook: Receiver) -> None:
    headers = {"Idempotency-Key": "one"}
    for url, status in ((hook.url, 202), (hook.url, 202), (f"{hook.url}/other", 422)):
        body = {"prompt": "a red circle", "webhook_url": url}
        answer = await api.client.post("/videos", json=body, headers=headers)
        assert answer.status_code == status


async def test_the_operators_address_is_told_of_all_and_shown_to_none(tmp_path: Path, hook: Receiver) -> None:
    (alice, alices), (bob, bobs) = create_key("alice"), create_key("bob")
    async with live_api(
        tmp_path, **ON, webhook_url=f"{hook.url}/all?token=hidden", api_keys=f"{alices},{bobs}"
    ) as api:
        api.client.headers["authorization"] = f"Bearer {alice}"
        job = await api.finished(webhook_url=f"{hook.url}/mine")
        deliveries = await told(api, job, "delivered", "delivered")
        assert {each["target"]: each["url"] for each in deliveries} == {
            "job": f"{hook.url}/mine",
            "service": None,
        }
        assert "hidden" not in str(deliveries) + str(job)
        api.client.headers["authorization"] = f"Bearer {bob}"
        for answer in (
            await api.client.get(f"/jobs/{job['id']}/deliveries"),
            await api.client.post(f"/jobs/{job['id']}/redeliver"),
        ):
            assert answer.status_code == 404
        await api.finished()
        await eventually(lambda: len(hook.requests) == 3, 40)
    assert sorted(request.path for request in hook.requests) == [
        "/all?token=hidden",
        "/all?token=hidden",
        "/mine",
    ]


async def test_a_deleted_job_takes_its_deliveries_along(api: LiveApi, hook: Receiver) -> None:
    hook.answers = [500]
    job = await api.finished(webhook_url=hook.url)
    await eventually(lambda: bool(hook.requests), 40)
    assert (await api.client.delete(f"/jobs/{job['id']}")).status_code == 204
    assert (await api.client.get(f"/jobs/{job['id']}/deliveries")).status_code == 404

    async def none_left() -> bool:
        return not await api.state["store"].webhooks.of_job(job["id"])

    await eventually(none_left, 40)


async def test_the_document_says_what_receivers_get(api: LiveApi) -> None:
    document = (await api.client.get("/openapi.json")).json()
    assert set(document["webhooks"]) == {"video.completed", "video.failed", "video.cancelled"}
    for described in document["webhooks"].values():
        names = {parameter["name"] for parameter in described["post"]["parameters"]}
        assert names == {"webhook-id", "webhook-timestamp", "webhook-signature"}
