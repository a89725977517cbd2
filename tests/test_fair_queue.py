"""Whose turn it is, on every server."""

import asyncio

import pytest

from models.job import Job
from services import fair_queue
from services.estimates import Estimator
from services.job_store import JobStore
from services.mongo import Database
from tests.jobs import queued_job
from tests.test_job_store import ERROR


@pytest.fixture
async def store(database: Database) -> JobStore:
    store = JobStore(database)
    await store.create_indexes()
    return store


async def insert(store: JobStore, owners: str, priority: int = 0) -> list[Job]:
    """One job for each letter, whose owner it names."""
    return [await store.insert(queued_job(owner=owner, priority=priority)) for owner in owners]


async def claim(store: JobStore) -> Job:
    job = await store.claim("w", 30)
    assert job is not None
    return job


async def claimed_owners(store: JobStore) -> str:
    """Empties the queue."""
    owners = ""
    while (job := await store.claim("w", 30)) is not None:
        owners += job.owner
    return owners


async def test_a_single_job_waits_for_at_most_the_one_that_runs(store: JobStore, database: Database) -> None:
    backlog = []
    for turn in range(1, 1001):
        job = queued_job(owner="a")
        waiting = {
            "turn": turn,
            "place": fair_queue.place(job.id, priority=0, turn=turn, is_first=turn == 1),
            "seat": fair_queue.seat("a", priority=0, turn=turn),
        }
        backlog.append(job.to_document() | waiting | {"sort_id": job.id, "write_token": f"w_{turn}"})
    for start in range(0, 1000, 100):
        await database.collection("jobs").insert_many(backlog[start : start + 100])
    for _ in range(3):
        await store.fail(await claim(store), ERROR)
    await claim(store)
    await insert(store, "b")
    assert (await claim(store)).owner == "b"
    assert (await claim(store)).owner == "a"


async def test_so_does_one_when_the_running_jobs_owner_came_back_with_more(store: JobStore) -> None:
    await insert(store, "a")
    await claim(store)
    await insert(store, "aaa")
    await insert(store, "b")
    assert await claimed_owners(store) == "baaa"


async def test_owners_take_turns(store: JobStore) -> None:
    await insert(store, "aaaaabbbc")
    assert await claimed_owners(store) == "abcababaa"


async def test_between_the_end_of_one_job_and_the_next_claim_the_order_is_the_same(store: JobStore) -> None:
    await insert(store, "aaa")
    await store.fail(await claim(store), ERROR)
    await insert(store, "b")
    assert await claimed_owners(store) == "baa"


async def test_who_asks_again_and_again_does_not_go_before_who_waits(store: JobStore) -> None:
    await insert(store, "aaaab")
    served = ""
    for _ in range(6):
        job = await claim(store)
        await store.fail(job, ERROR)
        served += job.owner
        if job.owner == "b":
            await insert(store, "b")  # as soon as the last one is done
    # One of each in every turn; within it the single job goes first.
    assert served == "abbaba"


async def test_many_newcomers_do_not_push_anyone_back(store: JobStore) -> None:
    await insert(store, "aa")
    served = ""
    for newcomer in "bcdefg":
        await insert(store, newcomer)
        served += (await claim(store)).owner
    assert "a" in served[:3]


async def test_cancelled_jobs_cost_their_owner_no_turns(store: JobStore) -> None:
    cancelled = await insert(store, "b" * 20)
    await insert(store, "aaa")
    for job in cancelled:
        await store.request_cancel(job.id)
    await insert(store, "b")
    assert await claimed_owners(store) in ("abaa", "baaa")


async def test_jobs_made_at_once_get_turns_of_their_own(store: JobStore, database: Database) -> None:
    others = [JobStore(database) for _ in range(3)]  # as other processes have
    await asyncio.gather(
        *[(others[number % 3] if number % 4 else store).insert(queued_job(owner="a")) for number in range(50)]
    )
    await insert(store, "b")
    first_two = [(await claim(store)).owner for _ in range(2)]
    assert "b" in first_two
    places = await store.queued_places(limit=100)
    turns = [place.split("_")[1] for place in places]
    assert len(set(turns)) == len(turns) == 49 - (first_two.count("a") - 1)


async def test_higher_priorities_go_first_and_are_fair_among_themselves(store: JobStore) -> None:
    await insert(store, "aa")
    await insert(store, "l", priority=-1)
    await insert(store, "hhi", priority=2)
    assert await claimed_owners(store) == "hihaal"


async def test_a_job_that_comes_back_keeps_its_place(store: JobStore) -> None:
    jobs = await insert(store, "aab")
    first = await claim(store)
    assert first.id == jobs[0].id
    back = await store.release(first, keep_attempt=True)
    assert back is not None
    assert (back.place, back.seat) == (jobs[0].place, None)
    assert (await claim(store)).id == first.id


async def test_positions_are_the_order_of_claims(store: JobStore) -> None:
    jobs = await insert(store, "aaaabbc") + await insert(store, "d", priority=1)
    estimator = Estimator(store, max_queued=100)
    positions = await estimator.queue_positions(jobs)
    assert positions == {job.id: (await estimator.queue_positions([job]))[job.id] for job in jobs}
    order = sorted(jobs, key=lambda job: positions[job.id])
    assert [job.id for job in order] == [(await claim(store)).id for _ in jobs]
    assert sorted(positions.values()) == list(range(len(jobs)))


async def test_the_order_survives_a_restart(store: JobStore, database: Database) -> None:
    await insert(store, "aaaa")
    await claim(store)
    again = JobStore(database)
    await again.create_indexes()
    await insert(again, "b")
    assert await claimed_owners(again) == "baaa"


async def test_jobs_from_before_there_were_places_go_first(store: JobStore, database: Database) -> None:
    await insert(store, "a")
    old = queued_job(owner="o").to_document() | {"write_token": "w_x"}
    await database.collection("jobs").insert_one(old | {"sort_id": old["_id"]})
    (job,) = await store._find({"owner": "o"}, [("sort_id", 1)], 1)
    assert (await Estimator(store, 10).queue_positions([job])) == {job.id: 0}
    assert await claimed_owners(store) == "oa"


async def test_seats_are_left_with_the_queue(store: JobStore, database: Database) -> None:
    await insert(store, "aaa")
    ended = await store.fail(await claim(store), ERROR)
    running = await claim(store)
    assert ended is not None
    assert (ended.place, ended.seat) == (None, None)
    assert running.seat is None
    seats = await database.collection("jobs").find({"seat": {"$gt": ""}}).to_list(None)
    assert len(seats) == 1
