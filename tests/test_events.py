"""The hub between the dispatcher and the endpoints."""

import asyncio
from datetime import UTC, datetime

from models.job import Job, JobProgress, JobStatus
from models.video import VideoParams
from services.events import EventHub, Preview


def make_job(job_id: str = "video_1", status: JobStatus = JobStatus.IN_PROGRESS, step: int = 0) -> Job:
    return Job(
        id=job_id,
        owner="tester",
        status=status,
        model="demo",
        params=VideoParams(
            prompt="a red circle",
            negative_prompt="",
            width=64,
            height=64,
            num_frames=4,
            fps=8,
            num_inference_steps=5,
            guidance_scale=1.0,
            scheduler="ddim",
            seed=1,
        ),
        progress=JobProgress(step=step, total=5, percent=20.0 * step),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def test_a_slow_reader_misses_no_step() -> None:
    hub = EventHub()
    with hub.subscribe("video_1") as subscription:
        for step in range(1, 6):
            hub.publish(make_job(step=step))
        hub.publish(make_job("video_2", step=5))
        for step in range(1, 6):
            assert await subscription.next(timeout=5) == make_job(step=step)
        assert await subscription.next(timeout=0.01) is None


async def test_every_subscriber_of_a_job_is_told() -> None:
    hub = EventHub()
    with hub.subscribe("video_1") as first, hub.subscribe("video_1") as second:
        waiting = asyncio.create_task(first.next(timeout=5))
        hub.publish(make_job(step=3))
        assert await waiting == await second.next(timeout=5) == make_job(step=3)


async def test_nothing_comes_after_the_end() -> None:
    hub = EventHub()
    with hub.subscribe("video_1") as subscription:
        hub.publish(make_job(status=JobStatus.COMPLETED))
        hub.publish(make_job(step=4))
        assert await subscription.next(timeout=5) == make_job(status=JobStatus.COMPLETED)
        assert await subscription.next(timeout=0.01) is None


async def test_publishing_without_subscribers_keeps_nothing() -> None:
    hub = EventHub()
    with hub.subscribe("video_1"):
        pass
    hub.publish(make_job())
    with hub.subscribe("video_1") as subscription:
        assert await subscription.next(timeout=0.01) is None


async def test_a_wake_up_before_waiting_is_not_lost_and_counts_once() -> None:
    hub = EventHub()
    hub.wake()
    async with asyncio.timeout(5):
        await hub.wait_for_work(timeout=60)
    waiting = asyncio.create_task(hub.wait_for_work(timeout=60))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    hub.wake()
    async with asyncio.timeout(5):
        await waiting


async def test_waiting_for_work_ends_after_its_timeout() -> None:
    async with asyncio.timeout(5):
        await EventHub().wait_for_work(timeout=0.01)


async def test_a_cancellation_reaches_the_runner_of_that_job() -> None:
    hub = EventHub()
    with hub.cancellations("video_1") as requested:
        hub.notify_cancel("video_2")
        assert not requested.is_set()
        hub.notify_cancel("video_1")
        assert requested.is_set()
    hub.notify_cancel("video_1")


def test_the_newest_preview_is_kept_until_the_job_is_done() -> None:
    hub = EventHub()
    assert hub.preview("video_1") is None
    hub.show("video_1", Preview(1, b"first"))
    hub.show("video_1", Preview(2, b"second"))
    assert hub.preview("video_1") == Preview(2, b"second")
    assert hub.preview("video_2") is None
    hub.hide("video_1")
    hub.hide("video_1")
    assert hub.preview("video_1") is None
