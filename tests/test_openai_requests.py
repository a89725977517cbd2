"""Between OpenAI's words and ours, without a service."""

from datetime import UTC, datetime
from typing import Any

import pytest

from models.job import Job, JobError, JobProgress, JobStatus
from models.openai_video import OpenAIVideoCreate
from models.responses import JobResponse
from models.video import VideoCreate
from services.catalogue import Catalogue
from services.errors import InvalidRequest
from services.openai_videos import as_openai_video, poll_after_ms, to_video_create
from tests.jobs import queued_job

CATALOGUE = Catalogue.create("text-to-video-ms-1.7b")


def understood(**fields: Any) -> VideoCreate:
    return to_video_create(OpenAIVideoCreate(prompt="x", **fields), CATALOGUE)


@pytest.mark.parametrize(
    ("asked", "num_frames", "fps"),
    [
        ({}, None, None),
        ({"seconds": "4"}, 32, None),
        ({"seconds": 0.1}, 1, None),
        ({"seconds": "2.06"}, 16, None),
        ({"seconds": "4", "fps": 24}, 96, 24),
        ({"seconds": "4", "num_frames": 64}, 64, 16),
        ({"seconds": "2.5", "num_frames": 20}, 20, 8),
        ({"seconds": "4", "num_frames": 64, "fps": 16}, 64, 16),
        ({"num_frames": 24, "fps": 12}, 24, 12),
    ],
)
def test_two_of_seconds_fps_and_num_frames_decide(
    asked: dict[str, Any], num_frames: int | None, fps: int | None
) -> None:
    create = understood(**asked)
    assert (create.num_frames, create.fps) == (num_frames, fps)


@pytest.mark.parametrize(
    ("asked", "param", "said"),
    [
        ({"seconds": "20"}, "seconds", "seconds: 20 does not fit. num_frames: 160 is not accepted by"),
        ({"seconds": "12", "size": "1024x1024"}, "seconds", "at 1024×1024 at most 11 frames fit"),
        ({"size": "1024x1024"}, "num_frames", "at 1024×1024 at most 11 frames fit"),
        (
            {"seconds": "4", "num_frames": 64, "fps": 8},
            "seconds",
            "64 frames at 8 frames a second do not last 4",
        ),
        (
            {"seconds": "3", "num_frames": 64},
            "seconds",
            "64 frames at 21 frames a second do not last 3 seconds",
        ),
        ({"seconds": "0.5", "num_frames": 128}, "seconds", "fps: 256 is not accepted by"),
        ({"seconds": "4", "num_frames": 129}, "num_frames", "accepted values: 1 to 128"),
        ({"seconds": "4", "fps": 61}, "fps", "accepted values: 1 to 60"),
        ({"size": "1280x720"}, "size", "width: 1280 is not accepted by"),
        ({"size": "256x100"}, "size", "height: 100 is not accepted by"),
        ({"size": "256x256", "width": 256}, "size", "either size, or width and height"),
        ({"model": "sora-2"}, "model", "there is no model 'sora-2'"),
        ({"input_reference": ""}, "input_reference", "takes no image"),
    ],
)
def test_what_does_not_fit_is_named_as_it_was_asked(asked: dict[str, Any], param: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        understood(**asked)
    assert caught.value.param == param
    assert said in caught.value.message


def test_what_was_not_asked_stays_open() -> None:
    """Two requests that say the same are the same request to an Idempotency-Key."""
    assert understood(size=None, seconds=None).model_fields_set <= {"prompt"}
    assert understood(size="256x256", metadata={"a": "b"}).model_fields_set == {
        "prompt",
        "width",
        "height",
        "metadata",
    }


def test_aliases_stand_for_models() -> None:
    catalogue = CATALOGUE.with_aliases({"sora-2": "zeroscope_v2_576w"})
    entry = catalogue.get("sora-2")
    assert entry is not None
    assert entry.name == "zeroscope_v2_576w"
    assert "sora-2" not in catalogue.names
    for aliases, said in [({"x": "y"}, "x stands for 'y'; the models are"), ({"demo": "demo"}, "of its own")]:
        with pytest.raises(ValueError, match=said):
            CATALOGUE.with_aliases(aliases)


def record(**fields: Any) -> JobResponse:
    job = queued_job(**fields)
    shown = {name: getattr(job, name) for name in JobResponse.model_fields.keys() & Job.model_fields.keys()}
    return JobResponse(**shown | {"urls": {}} | {"eta_seconds": fields.get("eta_seconds")})


@pytest.mark.parametrize(
    ("percent", "status", "progress"),
    [
        (0.0, JobStatus.QUEUED, 0),
        (33.9, JobStatus.IN_PROGRESS, 33),
        (100.0, JobStatus.IN_PROGRESS, 99),
        (100.0, JobStatus.COMPLETED, 100),
        (50.0, JobStatus.FAILED, 50),
    ],
)
def test_100_percent_means_done(percent: float, status: JobStatus, progress: int) -> None:
    job = record(status=status, progress=JobProgress(total=3, percent=percent))
    assert as_openai_video(job).progress == progress


def test_times_are_whole_seconds_since_1970() -> None:
    time = datetime(2026, 1, 1, 0, 0, 0, 999_000, UTC)
    video = as_openai_video(record(created_at=time, completed_at=time, status=JobStatus.COMPLETED))
    assert (video.created_at, video.completed_at, video.expires_at) == (1767225600, 1767225600, None)


def test_a_cancelled_job_has_failed_and_a_failed_one_says_why() -> None:
    cancelled = as_openai_video(record(status=JobStatus.CANCELLED))
    assert cancelled.status == "failed"
    assert cancelled.error is not None
    assert cancelled.error.code == "cancelled"
    error = JobError(code="timeout", message="Too long.")
    assert as_openai_video(record(status=JobStatus.FAILED, error=error)).error == error


@pytest.mark.parametrize(
    ("eta", "milliseconds"), [(None, 1000), (0.0, 250), (20.0, 1000), (60.0, 3000), (3600.0, 5000)]
)
def test_a_twentieth_of_what_is_left(eta: float | None, milliseconds: int) -> None:
    waiting = record().model_copy(update={"eta_seconds": eta})
    assert poll_after_ms(waiting) == milliseconds
    assert poll_after_ms(waiting.model_copy(update={"status": JobStatus.CANCELLED})) is None
