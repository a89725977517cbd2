"""The job store against a simple model of itself: any order of calls, several workers, wrong clocks."""

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from models.job import Job, JobError, JobStatus, Timings
from models.video import Video
from services import job_store
from services.job_store import JobQuery, JobStore
from services.mongo import connect
from tests.jobs import queued_job

MAX_ATTEMPTS = 2
MOST_JOBS = 3
OWNERS = st.sampled_from(["anna", "bert"])
WORKERS = st.sampled_from(["w1", "w2", "w3"])
SECONDS = st.integers(1, 100)
VIDEO = Video(
    size_bytes=1, sha256="0" * 64, width=64, height=64, fps=8, num_frames=8, duration_seconds=1, codec="h264"
)
ERROR = JobError(code="out_of_memory", message="too large")
T = TypeVar("T")


@dataclass
class Expected:
    """What the record of a job has to say."""

    owner: str
    status: JobStatus = JobStatus.QUEUED
    fence: int = 0
    attempt: int = 0
    cancel_requested: bool = False
    file_expired: bool = False
    lease_token: str | None = None
    lease_ends: datetime | None = None

    def end(self, status: JobStatus) -> None:
        self.status, self.lease_token, self.lease_ends = status, None, None

    def give_back(self) -> None:
        self.end(JobStatus.CANCELLED if self.cancel_requested else JobStatus.QUEUED)

    def is_held_by(self, claim: Job) -> bool:
        assert claim.lease is not None
        return self.status is JobStatus.IN_PROGRESS and self.lease_token == claim.lease.token

    def told(self) -> tuple[Any, ...]:
        return (
            self.status,
            self.fence,
            self.attempt,
            self.cancel_requested,
            self.file_expired,
            self.lease_token,
            self.lease_ends,
        )


def told(job: Job) -> tuple[Any, ...]:
    lease = job.lease
    return (
        job.status,
        job.fence,
        job.attempt,
        job.cancel_requested,
        job.file_expired,
        lease.token if lease is not None else None,
        lease.expires_at if lease is not None else None,
    )


class JobStoreMachine(RuleBasedStateMachine):
    """Claims stay in their bundle after the job is another's: whoever wakes up late may try anything."""

    uri: str
    jobs = Bundle("jobs")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Expected] = {}
        self.ends: dict[str, Job] = {}
        self.runner = asyncio.Runner()
        self.now = job_store.utc_now()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(job_store, "utc_now", lambda: self.now)

    def run(self, operation: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(operation)

    @initialize()
    def open(self) -> None:
        async def enter() -> JobStore:
            self.connection = connect(self.uri, f"machine_{secrets.token_hex(8)}")
            self.database = await self.connection.__aenter__()
            store = JobStore(self.database)
            await store.create_indexes()
            return store

        self.store = self.run(enter())

    def teardown(self) -> None:
        async def leave() -> None:
            await self.database.motor.client.drop_database(self.database.motor.name)
            await self.connection.__aexit__(None, None, None)

        if hasattr(self, "database"):
            self.run(leave())
        self.runner.close()
        self.patch.undo()

    # Few jobs, so that much happens to each.
    @precondition(lambda self: len(self.model) < MOST_JOBS)
    @rule(target=jobs, owner=OWNERS)
    def insert(self, owner: str) -> str:
        job = queued_job(owner=owner, created_at=self.now)
        self.run(self.store.insert(job))
        self.model[job.id] = Expected(owner)
        return job.id

    @rule(target=claims, workers=st.lists(WORKERS, min_size=1, max_size=4), lease_seconds=SECONDS)
    def claim(self, workers: list[str], lease_seconds: int) -> Any:
        """By all of them at once: each gets another job, while there are any."""
        waiting = {job_id for job_id, job in self.model.items() if job.status is JobStatus.QUEUED}

        async def race() -> list[Job | None]:
            return await asyncio.gather(*[self.store.claim(worker, lease_seconds) for worker in workers])

        claimed = [job for job in self.run(race()) if job is not None]
        assert len(claimed) == len({job.id for job in claimed}) == min(len(workers), len(waiting))
        for job in claimed:
            assert job.id in waiting
            assert job.lease is not None
            expected = self.model[job.id]
            expected.status = JobStatus.IN_PROGRESS
            expected.fence += 1
            expected.attempt += 1
            expected.lease_token = job.lease.token
            expected.lease_ends = self.now + timedelta(seconds=lease_seconds)
        return multiple(*claimed)

    @rule(claim=claims, lease_seconds=SECONDS)
    def heartbeat(self, claim: Job, lease_seconds: int) -> None:
        held = self.held(claim)
        assert (self.run(self.store.renew(claim, lease_seconds)) is not None) is (held is not None)
        if held is not None:
            held.lease_ends = self.now + timedelta(seconds=lease_seconds)

    @rule(claim=claims)
    def complete(self, claim: Job) -> None:
        held = self.held(claim)
        allowed = held is not None and not held.cancel_requested
        assert (self.run(self.completed(claim)) is not None) is allowed
        if held is not None and allowed:
            held.end(JobStatus.COMPLETED)

    @rule(claim=claims)
    def complete_while_it_is_cancelled(self, claim: Job) -> None:
        held = self.held(claim)

        async def race() -> tuple[Job | None, Job | None]:
            return await asyncio.gather(self.completed(claim), self.store.request_cancel(claim.id))

        completed, asked = self.run(race())
        if held is None or held.cancel_requested:
            assert completed is None
            self.cancel_in_model(claim.id)
        elif completed is not None:
            held.end(JobStatus.COMPLETED)
            assert asked is not None
        else:
            self.cancel_in_model(claim.id)

    @rule(claim=claims)
    def fail(self, claim: Job) -> None:
        held = self.held(claim)
        assert (self.run(self.store.fail(claim, ERROR)) is not None) is (held is not None)
        if held is not None:
            held.end(JobStatus.FAILED)

    @rule(claim=claims)
    def finish_cancelled(self, claim: Job) -> None:
        held = self.held(claim)
        assert (self.run(self.store.finish_cancelled(claim)) is not None) is (held is not None)
        if held is not None:
            held.end(JobStatus.CANCELLED)

    @rule(claim=claims, keep_attempt=st.booleans())
    def release(self, claim: Job, keep_attempt: bool) -> None:
        held = self.held(claim)
        released = self.run(self.store.release(claim, keep_attempt=keep_attempt))
        assert (released is not None) is (held is not None)
        if held is not None:
            held.give_back()
            if held.status is JobStatus.QUEUED and not keep_attempt:
                held.attempt -= 1

    @rule(job_id=jobs, owner=OWNERS)
    def cancel(self, job_id: str, owner: str) -> None:
        record = self.run(self.store.request_cancel(job_id, owner=owner))
        expected = self.model.get(job_id)
        assert (record is not None) is (expected is not None and expected.owner == owner)
        if record is not None:
            self.cancel_in_model(job_id)

    @rule()
    def recover(self) -> None:
        """As at start: every job whose lease has run out."""
        stalled = self.run(self.store.stalled())
        assert {job.id for job in stalled} == {
            job_id
            for job_id, job in self.model.items()
            if job.lease_ends is not None and job.lease_ends < self.now
        }
        for job in stalled:
            assert self.run(self.store.recover(job, MAX_ATTEMPTS)) is not None
            self.recover_in_model(self.model[job.id])

    @rule(claim=claims)
    def recover_what_was_seen(self, claim: Job) -> None:
        """A recoverer that was slow: it may act on what it saw only while nothing else happened."""
        held = self.held(claim)
        current = self.run(self.store.get(claim.id))
        untouched = held is not None and current is not None and current.write_token == claim.write_token
        late = held is not None and held.lease_ends is not None and held.lease_ends < self.now
        recovered = self.run(self.store.recover(claim, MAX_ATTEMPTS, holder_is_gone=True))
        assert (recovered is not None) is (untouched or late)
        if held is not None and recovered is not None:
            self.recover_in_model(held)

    @rule(job_id=jobs)
    def expire_file(self, job_id: str) -> None:
        record = self.run(self.store.get(job_id))
        if record is not None:
            expired = self.run(self.store.mark_file_expired(record))
            expected = self.model[job_id]
            assert (expired is not None) is (expected.status is JobStatus.COMPLETED)
            expected.file_expired = expected.status is JobStatus.COMPLETED

    @rule(job_id=consumes(jobs))
    def delete(self, job_id: str) -> None:
        expected = self.model.get(job_id)
        allowed = expected is not None and expected.status.is_final
        assert self.run(self.store.delete(job_id)) is allowed
        if allowed:
            del self.model[job_id]
            self.ends.pop(job_id, None)

    @rule(seconds=st.integers(-200, 200))
    def step_the_clock(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def the_records_say_what_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        page = self.run(self.store.list(JobQuery(limit=1000, order="asc")))
        assert {job.id: told(job) for job in page.jobs} == {
            job_id: expected.told() for job_id, expected in self.model.items()
        }
        for job in page.jobs:
            assert (job.completed_at is not None) == job.status.is_final
            assert (job.video is not None) == (job.status is JobStatus.COMPLETED)
            assert (job.error is not None) == (job.status is JobStatus.FAILED)
            if job.status.is_final:
                as_ended = self.ends.setdefault(job.id, job)
                # After its end only its file may go.
                same = {"file_expired": job.file_expired, "write_token": job.write_token}
                assert as_ended.model_copy(update=same) == job

    def completed(self, claim: Job) -> Coroutine[Any, Any, Job | None]:
        return self.store.complete(claim, video=VIDEO, timings=Timings(), expires_at=self.now)

    def held(self, claim: Job) -> Expected | None:
        """What is expected of the job while the claim still holds it."""
        expected = self.model.get(claim.id)
        return expected if expected is not None and expected.is_held_by(claim) else None

    def cancel_in_model(self, job_id: str) -> None:
        expected = self.model.get(job_id)
        if expected is None or expected.status.is_final:
            return
        expected.cancel_requested = True
        if expected.status is JobStatus.QUEUED:
            expected.end(JobStatus.CANCELLED)

    def recover_in_model(self, expected: Expected) -> None:
        given_up = expected.attempt >= MAX_ATTEMPTS and not expected.cancel_requested
        expected.give_back()
        if given_up:
            expected.status = JobStatus.FAILED


def test_no_order_of_calls_leaves_the_model(mongo_uri: str) -> None:
    machine = type("Machine", (JobStoreMachine,), {"uri": mongo_uri})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
