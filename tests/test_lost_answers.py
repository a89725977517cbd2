"""Writes whose answers are lost, on every server: each acts once, and its writer learns that it did."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from models.job import Job, JobError, JobStatus, Timings
from models.video import Video
from models.webhook import WebhookTarget
from services.job_store import JobStore, utc_now
from services.mongo import Database, connect
from tests.jobs import queued_job
from tests.proxy import Proxy, plain_address

VIDEO = Video(
    size_bytes=1, sha256="0" * 64, width=64, height=64, fps=8, num_frames=8, duration_seconds=1, codec="h264"
)
ERROR = JobError(code="out_of_memory", message="too large")


@pytest.fixture
async def store(database: Database) -> JobStore:
    store = JobStore(database)
    await store.create_indexes()
    return store


@pytest.fixture
async def proxy(mongo_uri: str) -> AsyncIterator[Proxy]:
    async with Proxy(*plain_address(mongo_uri)).running() as proxy:
        yield proxy


@pytest.fixture
async def shaky(database_name: str, proxy: Proxy, store: JobStore) -> AsyncIterator[JobStore]:
    """The same database, through the proxy."""
    uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
    async with connect(uri, database_name) as database:
        shaky = JobStore(database)
        await shaky.ping()
        yield shaky


async def claim(store: JobStore) -> Job:
    job = await store.claim("w", 30)
    assert job is not None
    return job


async def complete(store: JobStore, job: Job) -> Job | None:
    return await store.complete(job, video=VIDEO, timings=Timings(denoise=1.5), expires_at=utc_now())


async def stored(store: JobStore, job: Job) -> Job:
    found = await store.get(job.id)
    assert found is not None
    return found


@pytest.mark.parametrize("loss", ["lose_answer_to", "lose_request"])
async def test_a_write_whose_answer_is_lost_acts_once(
    store: JobStore, shaky: JobStore, proxy: Proxy, loss: str
) -> None:
    job = queued_job()
    setattr(proxy, loss, b"insert\0")
    await shaky.insert(job)
    assert (await stored(store, job)).status == JobStatus.QUEUED

    setattr(proxy, loss, b"update\0")  # the first update of a claim notes the turn
    claimed = await claim(shaky)
    assert (claimed.fence, claimed.attempt) == (1, 1)
    await store.release(claimed, keep_attempt=False)

    setattr(proxy, loss, b"update\0")
    claimed = await claim(shaky)
    assert claimed == await stored(store, job)
    assert (claimed.fence, claimed.attempt) == (2, 1)

    setattr(proxy, loss, b"update\0")
    done = await complete(shaky, claimed)
    assert done is not None
    assert done == await stored(store, job)

    setattr(proxy, loss, b"delete\0")
    assert await shaky.delete(job.id)
    assert await store.get(job.id) is None

    setattr(proxy, loss, b"insert\0")
    assert await shaky.idempotency_keys.reserve("me", "key", "p", "video_1") == ("video_1", "p")
    assert proxy.losses == 6


async def test_a_lost_answer_does_not_hide_that_another_writer_won(
    store: JobStore, shaky: JobStore, proxy: Proxy
) -> None:
    await store.insert(queued_job())
    job = await claim(store)
    await store.fail(job, ERROR)
    proxy.lose_answer_to = b"find\0"
    assert await complete(shaky, job) is None
    assert (await stored(store, job)).status == JobStatus.FAILED


Change = Callable[[JobStore, Job], Awaitable[object]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda store, job: store.mark_announced(job), id="announced"),
        pytest.param(lambda store, job: store.mark_file_expired(job), id="expired"),
    ],
)
async def test_an_end_in_doubt_is_known_though_its_record_was_written_to_since(
    store: JobStore, shaky: JobStore, proxy: Proxy, change: Change
) -> None:
    """A clip was deleted for it: its record was announced before the answer could be asked for again."""
    await store.insert(queued_job(webhooks=[WebhookTarget.SERVICE]))
    job = await claim(store)

    async def meanwhile() -> None:
        assert await change(store, job)

    proxy.meanwhile = meanwhile
    proxy.lose_answer_to = b"update\0"
    done = await complete(shaky, job)
    assert proxy.losses == 1
    assert done == await stored(store, job)
    assert done.status is JobStatus.COMPLETED


async def test_a_claim_in_doubt_is_kept_though_its_job_is_to_be_cancelled_since(
    store: JobStore, shaky: JobStore, proxy: Proxy
) -> None:
    """Nobody else would run it, nor cancel it, before its lease is over."""
    await store.insert(queued_job())
    first = await claim(shaky)
    await store.release(first, keep_attempt=False)  # its turn has come: the next claim is the only update
    proxy.meanwhile = lambda: store.request_cancel(first.id)
    proxy.lose_answer_to = b"update\0"
    job = await claim(shaky)
    assert proxy.losses == 1
    assert job == await stored(store, job)
    assert (job.status, job.cancel_requested) == (JobStatus.IN_PROGRESS, True)


async def test_an_end_in_doubt_is_not_taken_for_anothers(
    store: JobStore, shaky: JobStore, proxy: Proxy
) -> None:
    """The release arrived, and the next claim with it: the job is another's now."""
    await store.insert(queued_job())
    job = await claim(store)
    proxy.meanwhile = lambda: claim(store)
    proxy.lose_answer_to = b"update\0"
    assert await shaky.release(job, keep_attempt=False) is None
    assert (await stored(store, job)).fence == 2
