"""Between OpenAI's video API and this service's own words."""

from datetime import datetime
from typing import Any, Literal

from models.job import JobError, JobStatus
from models.openai_video import OpenAIVideo, OpenAIVideoCreate
from models.responses import JobResponse
from models.video import VideoCreate
from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry, Range
from services.errors import InvalidRequest
from services.validation import complete_params, resolve_model

_SHORTEST_POLL_MS, _LONGEST_POLL_MS, _USUAL_POLL_MS = 250, 5_000, 1_000
_POLLS = 20
_CANCELLED = JobError(code="cancelled", message="The job was cancelled.")


def to_video_create(request: OpenAIVideoCreate, catalogue: Catalogue) -> VideoCreate:
    """The same request in this service's words, checked against the model's limits.

    Raises InvalidRequest, which names the field that the caller sent.
    """
    entry = resolve_model(request, catalogue)
    if request.input_reference is not None:
        raise InvalidRequest(
            f"input_reference: {entry.name} takes no image; it makes clips from text alone.",
            code="unsupported_parameter",
            param="input_reference",
        )
    fields = request.model_dump(exclude_unset=True, exclude={"seconds", "size", "input_reference"})
    named: dict[str | None, str] = {}
    if request.size is not None:
        fields |= _width_and_height(request, request.size)
        named |= {"width": "size", "height": "size"}
    if request.seconds is not None:
        timing = _frames_and_rate(request, request.seconds, entry)
        fields |= timing
        named |= dict.fromkeys(timing, "seconds")
    create = VideoCreate.model_validate(fields)
    try:
        complete_params(create, entry)
    except InvalidRequest as error:
        if (field := named.get(error.param)) is None:
            raise
        asked = request.size if field == "size" else f"{request.seconds:g}"
        message = f"{field}: {asked} does not fit. {error.message}"
        raise InvalidRequest(message, code=error.code, param=field) from None
    return create


def _width_and_height(request: OpenAIVideoCreate, size: str) -> dict[str, Any]:
    if request.width is not None or request.height is not None:
        raise InvalidRequest("size: give either size, or width and height.", param="size")
    width, height = map(int, size.split("x"))
    return {"width": width, "height": height}


def _frames_and_rate(request: OpenAIVideoCreate, seconds: float, entry: CatalogueEntry) -> dict[str, Any]:
    """``num_frames`` from the length and the rate; ``fps`` where only the frames are given."""
    num_frames, fps, limits = request.num_frames, request.fps, entry.limits
    if not (_is_within(num_frames, limits.num_frames) and _is_within(fps, limits.fps)):
        return {}  # refused by its own name
    if num_frames is None:
        rate = fps or entry.defaults.fps
        return {"num_frames": _nearest(seconds * rate, limits.num_frames)}
    rate = fps or max(1, round(num_frames / seconds))
    if _nearest(seconds * rate, limits.num_frames) != num_frames:
        raise InvalidRequest(
            f"seconds: {num_frames} frames at {rate} frames a second do not last {seconds:g} seconds; "
            "leave out seconds, num_frames or fps.",
            param="seconds",
        )
    return {"fps": rate}


def _is_within(value: int | None, limit: Range) -> bool:
    return value is None or limit.minimum <= value <= limit.maximum


def _nearest(frames: float, limit: Range) -> int:
    """The frame count on the model's grid that is nearest; whether it is within the limits is not said."""
    steps = round((frames - limit.minimum) / limit.multiple_of)
    return max(1, limit.minimum + steps * limit.multiple_of)


def as_openai_video(record: JobResponse) -> OpenAIVideo:
    params = record.params
    status, error = _status(record.status), record.error
    if record.status is JobStatus.CANCELLED:
        error = _CANCELLED
    return OpenAIVideo(
        id=record.id,
        model=record.model,
        status=status,
        # 100 means done, and the last step is not: decoding and encoding follow.
        progress=100 if status == "completed" else min(99, int(record.progress.percent)),
        prompt=params.prompt,
        seconds=f"{params.num_frames / params.fps:g}",
        size=f"{params.width}x{params.height}",
        created_at=int(record.created_at.timestamp()),
        completed_at=_seconds(record.completed_at),
        expires_at=_seconds(record.expires_at),
        error=error,
        remixed_from_video_id=record.remix_of,
        negative_prompt=params.negative_prompt,
        num_frames=params.num_frames,
        fps=params.fps,
        num_inference_steps=params.num_inference_steps,
        guidance_scale=params.guidance_scale,
        scheduler=params.scheduler,
        quality=params.quality,
        seed=params.seed,
        queue_position=record.queue_position,
        eta_seconds=record.eta_seconds,
        metadata=record.metadata,
    )


def poll_after_ms(record: JobResponse) -> int | None:
    """Milliseconds until it is worth to ask again; None when the job has ended.

    OpenAI's Python SDK keeps the first one that it gets: a twentieth of what is left loses little at the end.
    """
    if record.status.is_final:
        return None
    if record.eta_seconds is None:
        return _USUAL_POLL_MS
    return int(min(max(record.eta_seconds * 1000 / _POLLS, _SHORTEST_POLL_MS), _LONGEST_POLL_MS))


def _status(status: JobStatus) -> Literal["queued", "in_progress", "completed", "failed"]:
    match status:
        case JobStatus.QUEUED:
            return "queued"
        case JobStatus.IN_PROGRESS:
            return "in_progress"
        case JobStatus.COMPLETED:
            return "completed"
        case JobStatus.FAILED | JobStatus.CANCELLED:
            return "failed"


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())
