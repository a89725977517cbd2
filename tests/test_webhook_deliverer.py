"""The ends of jobs, told to real receivers from real databases."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models.job import Job, JobError, JobStatus, Timings
from models.video import Video
from models.webhook import DeliveryStatus, WebhookDelivery, WebhookTarget
from services.job_store import JobStore, utc_now
from services.mongo import Database, connect
from services.public_addresses import AddressPolicy
from services.webhook_deliverer import MAX_SENDING_PER_OWNER, WebhookDeliverer, open_deliverer
from services.webhook_transitions import RetrySchedule, announcement, claimed, milliseconds
from services.webhooks import WebhookOptions, Webhooks
from tests.jobs import queued_job
from tests.proxy import Proxy, plain_address
from tests.receiver import KEY, Receiver, receiver
from tests.waiting import eventually

OPTIONS = WebhookOptions(
    secrets=(KEY,),
    policy=AddressPolicy.parse("127.0.0.0/8"),
    timeout_seconds=20,
    schedule=RetrySchedule(first_seconds=0.05, longest_seconds=0.2),
    poll_seconds=0.05,
)
WITHIN = 40.0
VIDEO = Video(
    size_bytes=1,
    sha256="0" * 64,
    width=64,
    height=64,
    fps=8,
    num_frames=4,
    duration_seconds=0.5,
    codec="h264",
)


class Outbox:
    """A job store, and jobs that end with a webhook to tell."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.outcomes: list[str] = []

    @asynccontextmanager
    async def delivering(self, **options: Any) -> AsyncIterator[WebhookDeliverer]:
        async with open_deliverer(self.store, replace(OPTIONS, **options), self.outcomes.append) as deliverer:
            assert deliverer is not None
            yield deliverer

    async def queued(self, url: str | None, *targets: WebhookTarget, **fields: Any) -> Job:
        job = queued_job(webhook_url=url, webhooks=list(targets) or [WebhookTarget.JOB], **fields)
        return await self.store.insert(job)

    async def ended(self, url: str | None, *targets: WebhookTarget, **fields: Any) -> Job:
        """A cancelled job."""
        job = await self.store.request_cancel((await self.queued(url, *targets, **fields)).id)
        assert job is not None
        return job

    async def only(self, job: Job) -> WebhookDelivery:
        (delivery,) = await self.store.webhooks.of_job(job.id)
        return delivery

    async def settled(self, job: Job, status: DeliveryStatus) -> WebhookDelivery:
        """The job's one delivery, once it has come to this."""

        async def there() -> bool:
            deliveries = await self.store.webhooks.of_job(job.id)
            return [delivery.status for delivery in deliveries] == [status]

        await eventually(there, WITHIN, f"the delivery of {job.id} did not become {status}")
        return await self.only(job)

    async def is_handed_over(self, job: Job) -> bool:
        record = await self.store.get(job.id)
        return record is not None and not record.webhooks_due


@pytest.fixture
async def outbox(database: Database) -> Outbox:
    store = JobStore(database)
    await store.create_indexes()
    return Outbox(store)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


async def test_each_end_is_told_once(outbox: Outbox, hook: Receiver) -> None:
    store = outbox.store
    jobs = {status: await outbox.queued(hook.url) for status in ("completed", "failed", "cancelled")}
    for status in ("completed", "failed"):
        running = await store.claim("tester", 60)
        assert running is not None
        assert running.id == jobs[status].id
        if status == "completed":
            await store.complete(running, video=VIDEO, timings=Timings(), expires_at=utc_now())
        else:
            await store.fail(running, JobError(code="out_of_memory", message="too large"))
    await store.request_cancel(jobs["cancelled"].id)
    async with outbox.delivering():
        for job in jobs.values():
            delivery = await outbox.settled(job, DeliveryStatus.DELIVERED)
            assert delivery.due_ms is None
            assert [attempt.status_code for attempt in delivery.attempts] == [204]
            assert await outbox.is_handed_over(job)
    assert not hook.refused
    assert {event["type"]: event["data"] for event in hook.events} == {
        f"video.{status}": {"id": job.id} for status, job in jobs.items()
    }
    assert len(hook.events) == 3
    for request in hook.requests:
        assert request.event.keys() == {"id", "object", "type", "created_at", "data"}
        assert request.event["object"] == "event"
        assert request.event["id"] == request.headers["webhook-id"]
        assert request.event["id"].removeprefix("evt_") == request.event["data"]["id"].removeprefix("video_")
        record = await store.get(request.event["data"]["id"])
        assert record is not None
        assert record.completed_at is not None
        assert request.event["created_at"] == int(record.completed_at.timestamp())
    assert outbox.outcomes == ["delivered"] * 3


async def test_nothing_is_told_of_jobs_without_a_webhook(outbox: Outbox, hook: Receiver) -> None:
    silent = await outbox.store.insert(queued_job())
    await outbox.store.request_cancel(silent.id)
    running = await outbox.queued(hook.url)
    assert await outbox.store.unannounced(limit=10) == []
    async with outbox.delivering():
        await outbox.settled(await outbox.ended(hook.url), DeliveryStatus.DELIVERED)
    assert await outbox.store.webhooks.of_job(silent.id) == []
    assert await outbox.store.webhooks.of_job(running.id) == []


async def test_a_failed_attempt_is_made_again_with_the_same_id_and_body(
    outbox: Outbox, hook: Receiver
) -> None:
    hook.answers = [500, 302, 404]
    job = await outbox.ended(hook.url)
    async with outbox.delivering():
        delivery = await outbox.settled(job, DeliveryStatus.DELIVERED)
    assert [attempt.status_code for attempt in delivery.attempts] == [500, 302, 404, 204]
    assert len({request.body for request in hook.requests}) == 1
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 1
    assert outbox.outcomes == ["retried"] * 3 + ["delivered"]


async def test_it_is_given_up_with_a_reason(outbox: Outbox, hook: Receiver) -> None:
    hook.answers = [503] * 100
    job = await outbox.ended(hook.url)
    short = replace(OPTIONS.schedule, window=timedelta(seconds=0.3))
    async with outbox.delivering(schedule=short):
        delivery = await outbox.settled(job, DeliveryStatus.FAILED)
    assert delivery.error == "the receiver answered 503"
    assert delivery.ended_at is not None
    assert outbox.outcomes[-1] == "failed"


async def test_gone_stops_it(outbox: Outbox, hook: Receiver) -> None:
    hook.answers = [410]
    job = await outbox.ended(hook.url)
    async with outbox.delivering():
        delivery = await outbox.settled(job, DeliveryStatus.FAILED)
    assert (delivery.error, delivery.attempt) == ("the receiver answered 410 Gone", 1)


async def test_a_private_address_is_recorded_and_not_asked(outbox: Outbox, hook: Receiver) -> None:
    job = await outbox.ended(f"http://localhost:{hook.port}/")
    async with outbox.delivering(policy=AddressPolicy()):
        delivery = await outbox.settled(job, DeliveryStatus.FAILED)
    assert delivery.error == "the host has an address that is not public"
    assert not hook.requests


async def test_several_processes_send_once(outbox: Outbox, hook: Receiver) -> None:
    jobs = [await outbox.ended(hook.url) for _ in range(10)]
    async with outbox.delivering(), outbox.delivering(), outbox.delivering():
        for job in jobs:
            await outbox.settled(job, DeliveryStatus.DELIVERED)
    assert sorted(event["data"]["id"] for event in hook.events) == sorted(job.id for job in jobs)


async def test_a_crash_between_delivery_and_mark_makes_no_second_one(outbox: Outbox, hook: Receiver) -> None:
    job = await outbox.ended(hook.url)
    await outbox.store.webhooks.insert(announcement(job, WebhookTarget.JOB, OPTIONS.schedule, utc_now()))
    await outbox.store.webhooks.insert(announcement(job, WebhookTarget.JOB, OPTIONS.schedule, utc_now()))
    assert not await outbox.is_handed_over(job)
    async with outbox.delivering():
        await outbox.settled(job, DeliveryStatus.DELIVERED)
        await eventually(lambda: outbox.is_handed_over(job), WITHIN)
    assert len(hook.requests) == 1


async def test_an_attempt_that_died_is_made_again_once_its_lease_is_over(
    outbox: Outbox, hook: Receiver
) -> None:
    job = await outbox.ended(hook.url)
    await outbox.store.mark_announced(job)
    store = outbox.store.webhooks
    await store.insert(announcement(job, WebhookTarget.JOB, OPTIONS.schedule, utc_now()))
    seen = await outbox.only(job)
    dead = await store.replace(seen, claimed(seen, lease_seconds=0.5, now=utc_now()))
    assert dead is not None
    assert dead.due_ms is not None
    assert await store.due(utc_now() - timedelta(seconds=1), limit=10) == []
    async with outbox.delivering():
        delivery = await outbox.settled(job, DeliveryStatus.DELIVERED)
    assert delivery.attempt == 2
    assert milliseconds(delivery.attempts[0].at) >= dead.due_ms


async def test_whose_claim_is_lost_writes_nothing(outbox: Outbox) -> None:
    job = await outbox.ended("http://127.0.0.1:1024/")
    store = outbox.store.webhooks
    await store.insert(announcement(job, WebhookTarget.JOB, OPTIONS.schedule, utc_now()))
    seen = await outbox.only(job)
    first = await store.replace(seen, claimed(seen, lease_seconds=30, now=utc_now()))
    assert first is not None
    assert await store.replace(seen, claimed(seen, lease_seconds=30, now=utc_now())) is None
    assert await outbox.only(job) == first


async def test_the_services_own_address_is_told_of_all(outbox: Outbox, hook: Receiver) -> None:
    both = await outbox.ended(f"{hook.url}/job", WebhookTarget.JOB, WebhookTarget.SERVICE)
    alone = await outbox.ended(None, WebhookTarget.SERVICE)
    async with outbox.delivering(service_url=f"{hook.url}/service"):
        await outbox.settled(alone, DeliveryStatus.DELIVERED)
        await eventually(lambda: len(hook.requests) == 3, WITHIN)
    told = sorted((request.path, request.event["data"]["id"]) for request in hook.requests)
    assert told == sorted([("/job", both.id), ("/service", both.id), ("/service", alone.id)])
    urls = {delivery.target: delivery.url for delivery in await outbox.store.webhooks.of_job(both.id)}
    assert urls == {WebhookTarget.JOB: f"{hook.url}/job", WebhookTarget.SERVICE: None}


async def test_the_services_address_may_be_taken_away(outbox: Outbox) -> None:
    job = await outbox.ended(None, WebhookTarget.SERVICE)
    async with outbox.delivering():
        delivery = await outbox.settled(job, DeliveryStatus.FAILED)
    assert delivery.error == "the service has no webhook of its own any more"


async def test_one_owners_slow_receivers_hold_up_no_other_owner(outbox: Outbox, hook: Receiver) -> None:
    with receiver() as slow:
        slow.hold.set()
        for _ in range(MAX_SENDING_PER_OWNER + 16):
            await outbox.ended(slow.url, owner="slow")
        async with outbox.delivering():
            await eventually(lambda: len(slow.requests) == MAX_SENDING_PER_OWNER, WITHIN)
            job = await outbox.ended(hook.url, owner="quick")
            await outbox.settled(job, DeliveryStatus.DELIVERED)
            assert len(slow.requests) == MAX_SENDING_PER_OWNER
            slow.hold.clear()
            slow.released.set()


async def test_with_the_job_its_deliveries_go(outbox: Outbox, hook: Receiver) -> None:
    hook.answers = [500] * 1000
    job, kept = await outbox.ended(hook.url), await outbox.ended(hook.url)
    async with outbox.delivering():
        await eventually(lambda: len(hook.requests) >= 4, WITHIN)
        assert not await outbox.store.delete(job.id, owner="somebody else")
        assert await outbox.store.webhooks.of_job(job.id)
        assert await outbox.store.delete(job.id)
        assert not await outbox.store.delete(job.id)

        async def is_alone() -> bool:
            return not await outbox.store.webhooks.of_job(job.id)

        await eventually(is_alone, WITHIN)
        hook.answers.clear()
        await outbox.settled(kept, DeliveryStatus.DELIVERED)
        assert await outbox.store.webhooks.of_job(job.id) == []


async def test_a_delivery_made_while_its_job_was_deleted_is_not_sent(outbox: Outbox, hook: Receiver) -> None:
    job = await outbox.ended(hook.url)
    await outbox.store.delete(job.id)
    await outbox.store.webhooks.insert(announcement(job, WebhookTarget.JOB, OPTIONS.schedule, utc_now()))
    async with outbox.delivering():

        async def is_gone() -> bool:
            return not await outbox.store.webhooks.of_job(job.id)

        await eventually(is_gone, WITHIN)
    assert not hook.requests


async def test_a_stop_lets_an_attempt_end(outbox: Outbox, hook: Receiver) -> None:
    hook.hold.set()
    job = await outbox.ended(hook.url)
    async with outbox.delivering():
        await eventually(lambda: bool(hook.requests), WITHIN)
        asyncio.get_running_loop().call_later(0.2, hook.released.set)
    assert (await outbox.only(job)).status is DeliveryStatus.DELIVERED


async def test_asking_again_sends_again(outbox: Outbox, hook: Receiver) -> None:
    hook.answers = [410]
    job = await outbox.ended(hook.url)
    async with outbox.delivering() as deliverer:
        await outbox.settled(job, DeliveryStatus.FAILED)
        shown = await Webhooks(outbox.store, OPTIONS, deliverer.wake).redeliver(job)
        assert [delivery.status for delivery in shown] == [DeliveryStatus.PENDING]
        delivery = await outbox.settled(job, DeliveryStatus.DELIVERED)
    assert [attempt.status_code for attempt in delivery.attempts] == [410, 204]
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 1


@pytest.mark.parametrize("lost", [b"insert", b"update", b"find"])
async def test_lost_answers_of_the_database_change_nothing(
    mongo_uri: str, database_name: str, hook: Receiver, database: Database, lost: bytes
) -> None:
    """``database`` drops the database afterwards."""
    async with (
        Proxy(*plain_address(mongo_uri)).running() as proxy,
        connect(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true", database_name) as ours,
    ):
        outbox = Outbox(JobStore(ours))
        await outbox.store.create_indexes()
        jobs = [await outbox.ended(hook.url) for _ in range(3)]
        proxy.lose_answer_to = lost
        async with outbox.delivering():
            for job in jobs:
                await outbox.settled(job, DeliveryStatus.DELIVERED)
            assert proxy.losses == 1
    ids = [json.loads(request.body)["data"]["id"] for request in hook.requests]
    assert sorted(ids) == sorted(job.id for job in jobs)


@pytest.mark.parametrize(
    ("collection", "fields"),
    [
        ("jobs", {"webhooks_due": True}),
        ("webhook_deliveries", {"due_ms": {"$lte": 1}}),
        ("webhook_deliveries", {"due_ms": {"$lte": 1}, "owner": {"$nin": ["a"]}}),
        ("webhook_deliveries", {"job_id": "video_1"}),
    ],
    ids=["outbox", "due", "due to others", "of a job"],
)
async def test_a_query_uses_an_index(
    collection: str,
    fields: dict[str, Any],
    outbox: Outbox,
    database: Database,
    request: pytest.FixtureRequest,
) -> None:
    if request.node.callspec.params["mongo_uri"] == "secantus" and "owner" in fields:
        pytest.skip("SecantusDB uses no index where one condition has none")
    await outbox.ended("http://127.0.0.1:1024/")
    command = {"find": collection, "filter": fields, "limit": 10}
    answer = await database.motor.command("explain", command, verbosity="queryPlanner")
    plan = str(answer["queryPlanner"]["winningPlan"])
    assert "COLLSCAN" not in plan
    assert f"SCAN {collection}" not in plan


async def test_webhooks_that_are_off_stay_off(outbox: Outbox, hook: Receiver) -> None:
    job = await outbox.ended(hook.url)
    async with open_deliverer(
        outbox.store, replace(OPTIONS, secrets=()), outbox.outcomes.append
    ) as deliverer:
        assert deliverer is None
    assert not await outbox.is_handed_over(job)
    assert job.status is JobStatus.CANCELLED
    assert not hook.requests
