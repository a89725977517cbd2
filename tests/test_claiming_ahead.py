"""What the dispatcher claims before the job at hand has ended: the next one, or a batch."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.job import Job, JobStatus
from services.job_store import JobStore
from services.mongo import Database
from tests.dispatching import Service, service_on


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    async with service_on(JobStore(database), tmp_path / "videos", max_batch=3) as service:
        yield service


async def claimed(service: Service, job_id: str) -> Job:
    return await service.until(job_id, lambda job: job.status is JobStatus.IN_PROGRESS)


async def test_the_next_job_runs_while_one_is_encoded(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first, second = await service.queue(f"encode {gate}"), await service.queue()
    async with service.dispatcher():
        assert (await service.final(second)).status is JobStatus.COMPLETED
        assert (await service.get(first)).status is JobStatus.IN_PROGRESS
        gate.touch()
        assert (await service.final(first)).status is JobStatus.COMPLETED


async def test_without_claiming_ahead_the_next_job_waits(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first, second = await service.queue(f"encode {gate}"), await service.queue()
    async with service.dispatcher(claim_ahead=False):
        await service.running(first, step=3)
        assert (await service.get(second)).status is JobStatus.QUEUED
        gate.touch()
        ended = await service.final(first)
        begun = await service.final(second)
    assert ended.completed_at is not None
    assert begun.started_at is not None
    assert begun.started_at >= ended.completed_at


async def test_a_job_that_was_claimed_too_early_can_be_cancelled_and_is_given_back(
    service: Service, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with service.dispatcher() as dispatcher:
        # From now on it is known that jobs of this kind are decoded in no time.
        await service.final(await service.queue())
        running = await service.queue(f"decode {gate}")
        cancelled, waiting = await service.queue(steps=5), await service.queue(steps=5)
        await claimed(service, cancelled)
        assert (await service.get(waiting)).status is JobStatus.QUEUED
        pid = service.executor.worker_pid
        await service.store.request_cancel(cancelled)
        service.hub.notify_cancel(cancelled)
        assert (await service.final(cancelled)).status is JobStatus.CANCELLED
        await claimed(service, waiting)
        draining = asyncio.create_task(dispatcher.drain(grace_seconds=30))
        given_back = await service.until(waiting, lambda job: job.status is JobStatus.QUEUED)
        assert (given_back.attempt, given_back.lease) == (0, None)
        gate.touch()
        await draining
        assert service.executor.worker_pid == pid
    assert (await service.get(running)).status is JobStatus.COMPLETED


async def test_a_job_that_waited_for_a_dying_worker_has_lost_no_attempt(
    service: Service, tmp_path: Path
) -> None:
    async with service.dispatcher(max_attempts=1):
        await service.final(await service.queue())
        lost, waiting = await service.queue("kill"), await service.queue(steps=5)
        assert (await service.final(lost)).status is JobStatus.FAILED
        job = await service.final(waiting)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)


async def test_jobs_that_follow_each_other_are_made_together(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    held = await service.queue(f"wait {gate}")
    alike = [await service.queue(f"at once {number}") for number in range(2)]
    other = await service.queue(steps=5)
    behind = await service.queue()
    row = [await service.queue(f"in a row {number}") for number in range(4)]
    async with service.dispatcher():
        await service.running(held)
        gate.touch()
        jobs = {job_id: await service.final(job_id) for job_id in (*alike, other, behind, *row)}
    assert {job.status for job in jobs.values()} == {JobStatus.COMPLETED}
    assert [jobs[job_id].dropped_text for job_id in alike] == ["2 together"] * 2
    # Its turn came: no job behind it was taken before.
    assert jobs[other].dropped_text is None
    assert [jobs[job_id].dropped_text for job_id in (behind, *row)] == ["3 together"] * 3 + ["2 together"] * 2
    assert all(job.attempt == 1 for job in jobs.values())


async def test_after_a_lost_worker_each_job_is_made_alone(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    held = await service.queue(f"wait {gate}")
    innocent, culprit = await service.queue(), await service.queue(f"kill once {tmp_path / 'killed'}")
    async with service.dispatcher():
        await service.running(held)
        gate.touch()
        jobs = [await service.final(job_id) for job_id in (innocent, culprit)]
    assert [(job.status, job.attempt) for job in jobs] == [(JobStatus.COMPLETED, 2)] * 2
    assert [job.dropped_text for job in jobs] == [None, None]


async def test_one_of_a_batch_can_be_cancelled(service: Service, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    held = await service.queue(f"wait {gate}", steps=200)
    first, second = await service.queue("pace 0.02", steps=200), await service.queue("at once", steps=200)
    async with service.dispatcher():
        await service.running(held)
        gate.touch()
        await service.running(first)
        await service.store.request_cancel(first)
        service.hub.notify_cancel(first)
        assert (await service.final(first)).status is JobStatus.CANCELLED
        assert (await service.final(second)).dropped_text == "2 together"
