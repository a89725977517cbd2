"""The contract of the job store, on every server it has to run on."""

import asyncio
import random
import time
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.job import Job, JobError, JobProgress, JobStatus, Timings
from models.video import Video
from services.ids import ulid_of
from services.job_store import DatabaseUnavailable, DuplicateJob, JobQuery, JobStore, new_job_id, utc_now
from services.mongo import Database, connect, free_port
from tests.jobs import queued_job
from tests.waiting import eventually

VIDEO = Video(
    size_bytes=1, sha256="0" * 64, width=64, height=64, fps=8, num_frames=8, duration_seconds=1, codec="h264"
)
ERROR = JobError(code="out_of_memory", message="too large")


@pytest.fixture
async def store(database: Database) -> JobStore:
    store = JobStore(database)
    await store.create_indexes()
    return store


async def insert(store: JobStore, *prompts: str, **fields: Any) -> list[Job]:
    jobs = [queued_job(prompt, **fields) for prompt in prompts]
    return [await store.insert(job) for job in jobs]


async def claim(store: JobStore, worker: str = "w", lease_seconds: float = 30) -> Job:
    job = await store.claim(worker, lease_seconds)
    assert job is not None
    return job


async def complete(store: JobStore, job: Job, **fields: Any) -> Job | None:
    values = {"video": VIDEO, "timings": Timings(denoise=1.5), "expires_at": utc_now()}
    return await store.complete(job, **(values | fields))


async def stored(store: JobStore, job: Job) -> Job:
    found = await store.get(job.id)
    assert found is not None
    return found


# Inserting and reading


async def test_a_job_comes_back_as_it_went_in(store: JobStore) -> None:
    job = queued_job(
        "a *red* circle “moving” left\n日本語 🎈 $where.a",
        metadata={"a.b": "$c", "$set": "x", "": "\0", "ключ": "значение"},
        unknown_words=["日本語"],
        retry_of="video_old",
    )
    job = await store.insert(job)
    found = await stored(store, job)
    assert found.write_token
    assert found.model_copy(update={"write_token": ""}) == job
    assert found.created_at.tzinfo is not None
    assert await store.get("video_other") is None


async def test_the_same_id_cannot_be_inserted_twice(store: JobStore) -> None:
    (job,) = await insert(store, "one")
    with pytest.raises(DuplicateJob):
        await store.insert(job)


async def test_owners_see_only_their_own(store: JobStore) -> None:
    (mine,) = await insert(store, "mine", owner="me")
    (theirs,) = await insert(store, "theirs", owner="you")
    assert await store.get(theirs.id, owner="me") is None
    assert await store.get(mine.id, owner="me") is not None
    assert [job.id for job in (await store.list(JobQuery(owner="me"))).jobs] == [mine.id]
    assert await store.request_cancel(theirs.id, owner="me") is None
    assert (await stored(store, theirs)).status == JobStatus.QUEUED
    await store.request_cancel(theirs.id, owner="you")
    assert not await store.delete(theirs.id, owner="me")
    assert await store.delete(theirs.id, owner="you")


def test_ids_are_in_order_of_time() -> None:
    ids = [new_job_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))


async def test_indexes_can_be_created_again(store: JobStore) -> None:
    await insert(store, "a")
    await store.create_indexes()
    await store.ping()


async def test_fields_that_this_version_does_not_know_survive_a_change(
    store: JobStore, database: Database
) -> None:
    document = queued_job().to_document() | {"from_the_future": {"at": utc_now()}, "write_token": "w_x"}
    await database.collection("jobs").insert_one(document)
    job = await claim(store)
    await store.renew(job, 30)
    after = await database.collection("jobs").find_one({"_id": job.id})
    assert after["from_the_future"] == document["from_the_future"]


# Listing


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_hold_each_job_once_and_in_order(store: JobStore, order: Any) -> None:
    jobs = await insert(store, *[f"prompt {number}" for number in range(7)])
    expected = [job.id for job in (jobs if order == "asc" else reversed(jobs))]
    seen: list[str] = []
    after = None
    while True:
        page = await store.list(JobQuery(limit=3, order=order, after=after))
        seen += [job.id for job in page.jobs]
        if not page.has_more:
            break
        after = seen[-1]
        await insert(store, *(["newer"] if order == "desc" else []))  # does not shift the pages
    assert seen == expected
    assert not (await store.list(JobQuery(order=order, after=seen[-1]))).jobs


async def test_a_page_may_be_longer_than_the_drivers_first_batch(store: JobStore) -> None:
    jobs = await insert(store, *["x"] * 150)
    page = await store.list(JobQuery(limit=149, order="asc"))
    assert [job.id for job in page.jobs] == [job.id for job in jobs[:149]]
    assert page.has_more


async def test_filters_narrow_together(store: JobStore) -> None:
    await insert(store, "a red circle", owner="me", model="demo")
    (wanted,) = await insert(store, "a blue circle", owner="me", model="zeroscope")
    await insert(store, "a blue star", owner="me", model="zeroscope")
    await insert(store, "a blue circle", owner="you", model="zeroscope")
    await store.request_cancel(wanted.id)
    query = JobQuery(owner="me", status=JobStatus.CANCELLED, model="zeroscope", q="BLUE CIRCLE")
    assert [job.id for job in (await store.list(query)).jobs] == [wanted.id]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        (".*", ["50% (.*) [a-z] $1 ^x|y{2} \\d+?"]),
        ("(.*) [A-Z] $1 ^x|y{2} \\d+?", ["50% (.*) [a-z] $1 ^x|y{2} \\d+?"]),
        ("\\d+?", ["50% (.*) [a-z] $1 ^x|y{2} \\d+?"]),
        ("ÉTÉ", ["un été à la mer"]),
        ("日本", ["日本語 🎈"]),
        ("🎈", ["日本語 🎈"]),
        ("red\nc", ["a red\ncircle"]),
        ("# -~&", ["# -~& /x/"]),
        ("/x/", ["# -~& /x/"]),
        ("2024-01-31", ["on 2024-01-31T10:00:00Z"]),
        ("2024", ["on 2024-01-31T10:00:00Z"]),
        ("10:00", ["on 2024-01-31T10:00:00Z"]),
        ("2025-01-31", []),
        ("\0", []),
        ("'; drop table", []),
    ],
)
async def test_text_search_takes_every_character_as_itself(store: JobStore, q: str, found: list[str]) -> None:
    prompts = [
        "50% (.*) [a-z] $1 ^x|y{2} \\d+?",
        "un été à la mer",
        "日本語 🎈",
        "a red\ncircle",
        "# -~& /x/",
        "500 yy",
        "on 2024-01-31T10:00:00Z",
    ]
    await insert(store, *prompts)
    assert [job.params.prompt for job in (await store.list(JobQuery(q=q))).jobs] == found


async def test_times_are_compared_to_the_millisecond(store: JobStore) -> None:
    start = utc_now()
    times = [start + timedelta(milliseconds=offset) for offset in (0, 1, 400, 999, 1000, 5000)]
    jobs = [queued_job(created_at=at) for at in times]
    for job in jobs:
        await store.insert(job)
    for limit in (1, 2, 10):
        query = JobQuery(created_after=times[0], created_before=times[4], limit=limit, order="asc")
        page = await store.list(query)
        assert [job.id for job in page.jobs] == [job.id for job in jobs[1:4]][:limit]
        assert page.has_more == (limit < 3)


async def test_times_and_pages_narrow_by_id_too(store: JobStore) -> None:
    now = utc_now()
    days = (30, 20, 10, 5, 0)
    jobs = []
    for ago in days:
        at = now - timedelta(days=ago)
        jobs.append(await store.insert(queued_job(id=f"video_{ulid_of(at)}", created_at=at)))
    # Reserved a day before it was made, as for an Idempotency-Key.
    late = await store.insert(
        queued_job(id=f"video_{ulid_of(now - timedelta(days=16))}", created_at=now - timedelta(days=15))
    )
    between = JobQuery(created_after=now - timedelta(days=25), created_before=now - timedelta(days=7))
    wanted = [jobs[2].id, late.id, jobs[1].id]
    assert [job.id for job in (await store.list(between)).jobs] == wanted
    for order, ids in (("desc", wanted), ("asc", wanted[::-1])):
        page = await store.list(replace(between, order=order, after=ids[0]))
        assert [job.id for job in page.jobs] == ids[1:]
    assert (await store.list(JobQuery(created_before=datetime(1970, 1, 1, tzinfo=UTC)))).jobs == []
    assert len((await store.list(JobQuery(created_before=datetime(9999, 1, 1, tzinfo=UTC)))).jobs) == 6


# Claiming


async def test_the_oldest_is_claimed_first(store: JobStore) -> None:
    first, second = await insert(store, "first", "second")
    claimed = await claim(store, "worker-1")
    assert claimed.id == first.id
    assert claimed == await stored(store, first)
    assert (claimed.status, claimed.fence, claimed.attempt) == (JobStatus.IN_PROGRESS, 1, 1)
    assert claimed.lease is not None
    assert claimed.lease.worker == "worker-1"
    assert claimed.started_at is not None
    assert claimed.timings.queued is not None
    assert (await claim(store)).id == second.id
    assert await store.claim("w", 30) is None


async def test_twenty_claimers_claim_ten_jobs_once_each(store: JobStore) -> None:
    jobs = await insert(store, *[str(number) for number in range(10)])
    claimed = await asyncio.gather(*[store.claim(f"worker-{number}", 30) for number in range(20)])
    ids = [job.id for job in claimed if job is not None]
    assert sorted(ids) == [job.id for job in jobs]
    assert {(await stored(store, job)).fence for job in jobs} == {1}


async def test_the_queue_is_counted_up_to_a_limit(store: JobStore) -> None:
    jobs = await insert(store, *["x"] * 5)
    await claim(store)
    assert await store.count_queued(limit=100) == 4
    assert await store.count_queued(limit=3) == 3
    assert await store.count_queued(limit=100, before=jobs[3].place) == 2


# A holder and its lease


async def test_a_renewal_moves_the_lease_and_notes_progress(store: JobStore) -> None:
    await insert(store, "x")
    job = await claim(store, lease_seconds=1)
    progress = JobProgress(step=1, total=3, percent=33.3)
    renewed = await store.renew(job, 60, progress)
    assert renewed is not None
    assert renewed == await stored(store, job)
    assert renewed.progress == progress
    assert renewed.lease is not None
    assert job.lease is not None
    assert renewed.lease.expires_at > job.lease.expires_at + timedelta(seconds=50)
    assert renewed.lease.token == job.lease.token
    again = await store.renew(job, 60)  # the first record still proves who we are
    assert again is not None
    assert again.progress == progress


async def test_completing_records_everything(store: JobStore) -> None:
    await insert(store, "x")
    job = await claim(store)
    expires_at = utc_now() + timedelta(hours=1)
    done = await store.complete(
        job,
        video=VIDEO,
        timings=Timings(denoise=2.5),
        expires_at=expires_at,
        prompt_truncated=True,
        dropped_text="rest",
        unknown_words=("glorp",),
    )
    assert done is not None
    assert done == await stored(store, job)
    assert done.status == JobStatus.COMPLETED
    assert done.lease is None
    assert done.video == VIDEO
    assert (done.timings.denoise, done.timings.queued) == (2.5, job.timings.queued)
    assert done.progress == JobProgress(step=3, total=3, percent=100)
    assert (done.prompt_truncated, done.dropped_text, done.unknown_words) == (True, "rest", ["glorp"])
    assert done.expires_at == expires_at
    assert done.completed_at is not None


async def test_an_old_fence_changes_nothing(store: JobStore) -> None:
    await insert(store, "x")
    old = await claim(store)
    await store.release(old, keep_attempt=True)
    current = await claim(store)
    before = await stored(store, current)
    assert await store.renew(old, 30, JobProgress(step=2, total=3)) is None
    assert await complete(store, old) is None
    assert await store.fail(old, ERROR) is None
    assert await store.finish_cancelled(old) is None
    assert await store.release(old, keep_attempt=False) is None
    assert await store.recover(old, 3) is None
    assert await stored(store, current) == before


async def test_another_token_under_the_same_fence_changes_nothing(store: JobStore) -> None:
    await insert(store, "x")
    job = await claim(store)
    assert job.lease is not None
    impostor = job.model_copy(update={"lease": job.lease.model_copy(update={"token": "w_other"})})
    assert await store.renew(impostor, 30) is None
    assert await complete(store, impostor) is None
    assert await stored(store, job) == job


async def test_releasing_gives_the_job_back(store: JobStore) -> None:
    await insert(store, "x")
    released = await store.release(await claim(store), keep_attempt=True)
    assert released is not None
    assert (released.status, released.attempt, released.lease) == (JobStatus.QUEUED, 1, None)
    job = await claim(store)
    assert (job.fence, job.attempt) == (2, 2)
    released = await store.release(job, keep_attempt=False)
    assert released is not None
    assert (released.fence, released.attempt) == (2, 1)


async def test_failing_keeps_the_reason(store: JobStore) -> None:
    await insert(store, "x")
    failed = await store.fail(await claim(store), ERROR)
    assert failed is not None
    assert (failed.status, failed.error, failed.lease) == (JobStatus.FAILED, ERROR, None)


# Cancelling


async def test_a_queued_job_is_cancelled_at_once(store: JobStore) -> None:
    (job,) = await insert(store, "x")
    cancelled = await store.request_cancel(job.id)
    assert cancelled is not None
    assert cancelled.status == JobStatus.CANCELLED
    assert cancelled.completed_at is not None
    assert await store.claim("w", 30) is None
    assert await store.request_cancel("video_none") is None


async def test_cancel_beats_complete(store: JobStore) -> None:
    await insert(store, "x")
    job = await claim(store)
    marked = await store.request_cancel(job.id)
    assert marked is not None
    assert (marked.status, marked.cancel_requested) == (JobStatus.IN_PROGRESS, True)
    assert await complete(store, job) is None
    renewed = await store.renew(job, 30)
    assert renewed is not None
    assert renewed.cancel_requested
    cancelled = await store.finish_cancelled(job)
    assert cancelled is not None
    assert cancelled.status == JobStatus.CANCELLED


async def test_cancel_and_complete_at_once_agree_on_one_end(store: JobStore) -> None:
    await insert(store, *["x"] * 10)
    jobs = [await claim(store) for _ in range(10)]
    results = await asyncio.gather(
        *[call for job in jobs for call in (store.request_cancel(job.id), complete(store, job))]
    )
    for job, done in zip(jobs, results[1::2], strict=True):
        after = await stored(store, job)
        assert (after.status == JobStatus.COMPLETED) == (done is not None)
        assert after.cancel_requested == (done is None)


async def test_a_released_job_that_was_to_be_cancelled_is_cancelled(store: JobStore) -> None:
    await insert(store, "x")
    job = await claim(store)
    await store.request_cancel(job.id)
    released = await store.release(job, keep_attempt=False)
    assert released is not None
    assert released.status == JobStatus.CANCELLED


# Recovering


async def stall(store: JobStore) -> Job:
    job = await claim(store, lease_seconds=0.01)
    return await eventually(lambda: first_stalled(store, job), message="the lease did not expire")


async def first_stalled(store: JobStore, job: Job) -> Job | None:
    return next((stalled for stalled in await store.stalled() if stalled.id == job.id), None)


async def test_a_stalled_job_is_tried_again_and_then_given_up(store: JobStore) -> None:
    await insert(store, "x")
    recovered = await store.recover(await stall(store), max_attempts=2)
    assert recovered is not None
    assert (recovered.status, recovered.attempt, recovered.lease) == (JobStatus.QUEUED, 1, None)
    given_up = await store.recover(await stall(store), max_attempts=2)
    assert given_up is not None
    assert given_up.status == JobStatus.FAILED
    assert given_up.error is not None
    assert given_up.error.code == "worker_lost"
    assert await store.stalled() == []


async def test_a_stalled_job_that_was_to_be_cancelled_is_cancelled(store: JobStore) -> None:
    await insert(store, "x")
    job = await stall(store)
    await store.request_cancel(job.id)
    recovered = await store.recover(job, max_attempts=3)
    assert recovered is not None
    assert recovered.status == JobStatus.CANCELLED


async def test_a_lease_that_runs_or_was_renewed_is_left_alone(store: JobStore) -> None:
    await insert(store, "x", "y")
    running = await claim(store)
    assert await store.stalled() == []
    assert await store.recover(running, max_attempts=3) is None
    late = await stall(store)
    assert await store.renew(late, 30) is not None
    assert await store.recover(late, max_attempts=3) is None


async def test_ten_recoverers_recover_once(store: JobStore) -> None:
    await insert(store, "x")
    job = await stall(store)
    recovered = await asyncio.gather(*[store.recover(job, max_attempts=3) for _ in range(10)])
    assert sum(result is not None for result in recovered) == 1


# Final states


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_final_state_never_changes(store: JobStore, end: str) -> None:
    await insert(store, "x")
    job = await claim(store)
    ends = {
        "completed": lambda: complete(store, job),
        "failed": lambda: store.fail(job, ERROR),
        "cancelled": lambda: store.finish_cancelled(job),
    }
    final = await ends[end]()
    assert final is not None
    assert final.status == end
    assert await store.request_cancel(job.id) == final
    for refused in (
        complete(store, job),
        store.fail(job, ERROR),
        store.finish_cancelled(job),
        store.renew(job, 30),
        store.release(job, keep_attempt=True),
        store.recover(job, 9),
    ):
        assert await refused is None
    assert await store.claim("w", 30) is None
    assert await stored(store, job) == final


async def test_only_final_jobs_can_be_deleted(store: JobStore) -> None:
    (queued,) = await insert(store, "x")
    assert not await store.delete(queued.id)
    running = await claim(store)
    assert not await store.delete(queued.id)
    await store.fail(running, ERROR)
    assert await store.delete(queued.id)
    assert not await store.delete(queued.id)
    assert await store.get(queued.id) is None


# Files and figures


async def test_files_past_their_age_are_found_and_marked(store: JobStore) -> None:
    now = utc_now()
    offsets = (-5000, 0, 1, 5000)
    jobs = await insert(store, *["x"] * len(offsets))
    for offset in offsets:
        await complete(store, await claim(store), expires_at=now + timedelta(milliseconds=offset))
    expired = await store.expired_files(now=now)
    assert [job.id for job in expired] == [job.id for job in jobs[:2]]
    marked = await store.mark_file_expired(expired[0])
    assert marked is not None
    assert marked.file_expired
    assert await store.mark_file_expired(expired[0]) == marked
    assert [job.id for job in await store.expired_files(now=now)] == [jobs[1].id]
    assert [job.id for job in await store.completed_oldest_first(limit=2)] == [job.id for job in jobs[1:3]]
    (queued,) = await insert(store, "queued")
    assert await store.mark_file_expired(queued) is None


async def test_the_average_is_over_completed_jobs_of_the_model(store: JobStore) -> None:
    assert await store.average_seconds("demo") is None
    start = utc_now()
    for model, seconds in (("demo", 2), ("demo", 4), ("zeroscope", 100)):
        await store.insert(
            queued_job(
                model=model,
                status=JobStatus.COMPLETED,
                started_at=start,
                completed_at=start + timedelta(seconds=seconds),
            )
        )
    await insert(store, "queued")
    assert await store.average_seconds("demo") == pytest.approx(3.0)


# Idempotency keys


async def test_of_fifty_callers_with_one_key_the_first_wins(store: JobStore) -> None:
    answers = await asyncio.gather(
        *[store.idempotency_keys.reserve("me", "key", f"print-{n}", f"video_{n}") for n in range(50)]
    )
    assert len(set(answers)) == 1
    job_id, fingerprint = answers[0]
    assert job_id.removeprefix("video_") == fingerprint.removeprefix("print-")
    assert await store.idempotency_keys.reserve("you", "key", "p", "video_you") == ("video_you", "p")
    assert await store.idempotency_keys.reserve("m", "ekey", "p", "video_m") == ("video_m", "p")


async def test_old_keys_are_forgotten(store: JobStore) -> None:
    await store.idempotency_keys.reserve("me", "key", "p", "video_1")
    assert await store.idempotency_keys.purge(utc_now() - timedelta(seconds=10)) == 0
    assert await store.idempotency_keys.purge(utc_now() + timedelta(seconds=10)) == 1
    assert await store.idempotency_keys.reserve("me", "key", "p", "video_2") == ("video_2", "p")


# Broken connections: see test_lost_answers.py too


async def test_a_server_that_is_gone_is_reported_soon() -> None:
    async with connect(f"mongodb://127.0.0.1:{free_port()}", "nowhere") as database:
        store = JobStore(database)
        job = queued_job()

        async def fails_soon(operation: Awaitable[Any]) -> None:
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable) as caught:
                await operation
            assert time.monotonic() - started < 2.5
            assert caught.value.status == 503
            assert int(caught.value.headers["Retry-After"]) > 0

        await asyncio.gather(
            fails_soon(store.insert(job)),
            fails_soon(store.get(job.id)),
            fails_soon(store.claim("w", 30)),
            fails_soon(store.renew(job, 30)),
            fails_soon(store.list(JobQuery())),
            fails_soon(store.idempotency_keys.reserve("me", "key", "p", "video_1")),
            fails_soon(store.ping()),
        )


# Any order of things


@pytest.mark.parametrize("seed", range(3))
async def test_no_order_of_calls_breaks_a_rule(store: JobStore, seed: int) -> None:
    """Several workers and callers at random: fences only grow, ends are final."""
    dice = random.Random(seed)
    jobs = await insert(store, *["x"] * 4)
    final: dict[str, Job] = {}
    fences = dict.fromkeys((job.id for job in jobs), 0)
    held: list[Job] = []

    async def act() -> None:
        holder = dice.choice(held) if held else None
        action = dice.choice(["claim", "claim", "renew", "complete", "fail", "release", "recover", "cancel"])
        if action == "claim":
            claimed = await store.claim("w", dice.choice([0.0, 30.0]))
            if claimed is not None:
                held.append(claimed)
        elif action == "cancel" and dice.random() < 0.3:
            await store.request_cancel(dice.choice(jobs).id)
        elif holder is not None:
            if action == "renew":
                await store.renew(holder, dice.choice([0.0, 30.0]))
            elif action == "complete" and dice.random() < 0.3:
                await complete(store, holder)
            elif action == "fail" and dice.random() < 0.3:
                await store.fail(holder, ERROR)
            elif action == "release":
                await store.release(holder, keep_attempt=dice.random() < 0.5)
            elif action == "recover":
                await store.recover(holder, max_attempts=20)

    for _ in range(40):
        await asyncio.gather(*[act() for _ in range(4)])
        for job in jobs:
            now = await stored(store, job)
            assert now.fence >= fences[job.id]
            fences[job.id] = now.fence
            assert 0 <= now.attempt <= now.fence
            assert (now.lease is not None) == (now.status == JobStatus.IN_PROGRESS)
            assert (now.completed_at is not None) == now.status.is_final
            assert (now.video is not None) == (now.status == JobStatus.COMPLETED)
            assert not (now.cancel_requested and now.status == JobStatus.COMPLETED)
            if job.id in final:
                assert now == final[job.id]
            if now.status.is_final:
                final[job.id] = now
