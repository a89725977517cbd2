import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.job import Job, JobProgress, JobStatus, Lease, Timings
from models.video import VideoParams
from services.database_errors import DatabaseUnavailable
from services.estimates import Estimator, seconds_in_line

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARAMS = VideoParams(
    prompt="x",
    negative_prompt="",
    width=64,
    height=64,
    num_frames=8,
    fps=8,
    num_inference_steps=20,
    guidance_scale=4,
    scheduler="dpm++",
    seed=1,
)


class History:
    """A history of known length."""

    def __init__(self, ahead: int = 0, average: float | None = None, runs: Sequence[Job] = ()) -> None:
        self.ahead, self.average, self.runs, self.asked = ahead, average, list(runs), 0

    async def count_queued(self, *, limit: int, before: str | None = None) -> int:
        return min(self.ahead, limit)

    async def queued_places(self, *, limit: int) -> list[str]:
        return [f"place_0{place}" for place in range(self.ahead)][:limit]

    async def running(self) -> list[Job]:
        return self.runs

    async def average_seconds(self, model: str) -> float | None:
        self.asked += 1
        return self.average


def job(status: JobStatus, step: int = 0, seconds: float = 0, load: float | None = None) -> Job:
    return Job(
        id="video_A",
        owner="local",
        status=status,
        model="demo",
        params=PARAMS,
        progress=JobProgress(step=step, total=20),
        timings=Timings(load=load),
        created_at=NOW,
        started_at=None if status is JobStatus.QUEUED else NOW - timedelta(seconds=seconds),
    )


async def estimate(history: History, job: Job) -> tuple[int | None, float | None]:
    estimator = Estimator(history, max_queued=100)
    positions = await estimator.queue_positions([job])
    return positions.get(job.id), (await estimator.remaining_seconds([job], positions, NOW))[job.id]


async def test_a_queued_job_waits_for_those_ahead_and_itself() -> None:
    assert await estimate(History(ahead=3, average=2.5), job(JobStatus.QUEUED)) == (3, 10.0)


async def test_of_the_running_job_only_what_is_left_counts() -> None:
    half_done = job(JobStatus.IN_PROGRESS, step=10, seconds=4)
    history = History(ahead=2, average=8, runs=[half_done])
    assert await estimate(history, job(JobStatus.QUEUED)) == (2, 28.0)
    stopping = half_done.model_copy(update={"cancel_requested": True})
    assert await estimate(History(ahead=0, average=8, runs=[stopping]), job(JobStatus.QUEUED)) == (0, 8.0)
    assert await estimate(History(average=8), stopping) == (None, None)
    begins = job(JobStatus.IN_PROGRESS, seconds=3)
    assert await estimate(History(ahead=0, average=8, runs=[begins]), job(JobStatus.QUEUED)) == (0, 13.0)


async def test_what_one_worker_has_at_hand_is_one_place() -> None:
    def held(worker: str, step: int) -> Job:
        lease = Lease(worker=worker, token="t", expires_at=NOW)
        return job(JobStatus.IN_PROGRESS, step=step, seconds=4).model_copy(update={"lease": lease})

    encoded, begun = held("w", 20), held("w", 10)
    assert await estimate(History(average=8, runs=[encoded, begun]), job(JobStatus.QUEUED)) == (0, 12.0)
    elsewhere = [encoded, begun, held("v", 20)]
    assert await estimate(History(average=8, runs=elsewhere), job(JobStatus.QUEUED)) == (0, 8.0)


def test_several_places_serve_one_line() -> None:
    assert seconds_in_line([], 0, 8) == 8
    assert seconds_in_line([3, 1], 0, 8) == 9
    assert seconds_in_line([3, 1], 1, 8) == 11
    assert seconds_in_line([3, 1], 2, 8) == 17


async def test_a_page_of_jobs_reads_the_queue_once() -> None:
    page = [
        job(JobStatus.QUEUED).model_copy(update={"id": "video_03", "place": "place_03"}),
        job(JobStatus.COMPLETED),
        job(JobStatus.QUEUED).model_copy(update={"id": "video_01", "place": "place_01"}),
    ]
    positions = await Estimator(History(ahead=5), max_queued=100).queue_positions(page)
    assert positions == {"video_03": 3, "video_01": 1}


async def test_nothing_is_promised_without_a_history() -> None:
    assert await estimate(History(ahead=3), job(JobStatus.QUEUED)) == (3, None)
    assert await estimate(History(), job(JobStatus.IN_PROGRESS)) == (None, None)


async def test_a_sampling_job_goes_on_at_its_pace() -> None:
    assert await estimate(History(), job(JobStatus.IN_PROGRESS, step=5, seconds=10)) == (None, 30.0)
    assert await estimate(History(), job(JobStatus.IN_PROGRESS, step=5, seconds=40, load=30)) == (None, 30.0)


async def test_before_the_first_step_the_average_counts() -> None:
    assert await estimate(History(average=8), job(JobStatus.IN_PROGRESS, seconds=3)) == (None, 5.0)
    assert await estimate(History(average=8), job(JobStatus.IN_PROGRESS, seconds=30)) == (None, 0.0)


async def test_an_ended_job_has_no_estimate() -> None:
    assert await estimate(History(average=8), job(JobStatus.COMPLETED, step=20, seconds=3)) == (None, None)


async def test_the_average_is_remembered() -> None:
    history = History(average=1)
    estimator = Estimator(history, max_queued=100)
    for _ in range(5):
        await estimator.remaining_seconds([job(JobStatus.QUEUED)], {"video_A": 0}, NOW)
    assert history.asked == 1


class SlowHistory(History):
    """Answers some questions never, or not at all."""

    def __init__(self, question: str, error: Exception | None) -> None:
        super().__init__(ahead=2, average=3)
        self.calls = 0

        async def never(*args: Any, **kwargs: Any) -> None:
            self.calls += 1
            if error is not None:
                raise error
            await asyncio.Event().wait()

        setattr(self, question, never)


@pytest.mark.parametrize("error", [None, DatabaseUnavailable()], ids=["late", "failing"])
@pytest.mark.parametrize(
    ("question", "known"),
    [
        ("count_queued", (None, None)),
        ("running", (2, None)),
        ("average_seconds", (2, None)),
    ],
)
async def test_no_answer_fails_for_want_of_an_estimate(
    question: str, known: tuple[int | None, float | None], error: Exception | None
) -> None:
    history = SlowHistory(question, error)
    estimator = Estimator(history, max_queued=100, patience_seconds=0.02)
    waiting = job(JobStatus.QUEUED)
    for _ in range(3):
        positions = await estimator.queue_positions([waiting])
        remaining = await estimator.remaining_seconds([waiting], positions, NOW)
        assert (positions.get(waiting.id), remaining[waiting.id]) == known
    # A history that is too long to average is not averaged for every answer.
    assert history.calls == (1 if question == "average_seconds" else 3)


async def test_a_page_is_answered_without_positions_where_they_come_late() -> None:
    page = [job(JobStatus.QUEUED).model_copy(update={"id": f"video_{n}"}) for n in range(2)]
    estimator = Estimator(SlowHistory("queued_places", None), max_queued=100, patience_seconds=0.02)
    assert await estimator.queue_positions(page) == {}
