"""What the service is asked, and what it answers. Fields that this package does not know are kept."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
Quality = Literal["fast", "balanced", "exact"]
Variant = Literal["video", "thumbnail", "spritesheet"]


class Options(TypedDict, total=False):
    """Parameters of a clip. What is left out, or None, takes the model's default."""

    negative_prompt: str | None
    model: str | None
    width: int | None
    height: int | None
    num_frames: int | None
    fps: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    scheduler: str | None
    quality: Quality | None
    seed: int | None
    priority: int | None
    metadata: dict[str, str] | None
    webhook_url: str | None


class Filters(TypedDict, total=False):
    """Which jobs to list. Times without a zone are UTC."""

    status: Status | None
    model: str | None
    q: str | None
    created_after: datetime | None
    created_before: datetime | None
    order: Literal["asc", "desc"] | None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Params(_Answer):
    """Every parameter of a generation: asking for them again gives the same clip."""

    prompt: str
    negative_prompt: str
    width: int
    height: int
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    quality: str = "exact"
    seed: int


class Progress(_Answer):
    step: int
    total: int
    percent: float


class Failure(_Answer):
    code: str
    message: str


class Video(_Answer):
    """Facts of the finished MP4."""

    size_bytes: int
    sha256: str
    width: int
    height: int
    fps: float
    num_frames: int
    duration_seconds: float
    codec: str


class Job(_Answer):
    """A request for one clip, and what became of it. Times are UTC, durations in seconds."""

    id: str
    status: Status
    model: str
    params: Params
    progress: Progress
    queue_position: int | None = None
    eta_seconds: float | None = None
    attempt: int
    cancel_requested: bool
    error: Failure | None = None
    video: Video | None = None
    timings: dict[str, float | None]
    prompt_truncated: bool
    dropped_text: str | None = None
    unknown_words: list[str]
    metadata: dict[str, str]
    retry_of: str | None = None
    remix_of: str | None = None
    webhook_url: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    file_expired: bool = False

    @property
    def is_final(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")


class JobPage(_Answer):
    data: list[Job]
    last_id: str | None
    has_more: bool


class Range(_Answer):
    minimum: float
    maximum: float
    multiple_of: int = 1


class Limits(_Answer):
    width: Range
    height: Range
    num_frames: Range
    fps: Range
    num_inference_steps: Range
    guidance_scale: Range
    max_pixels: int


class Defaults(_Answer):
    negative_prompt: str
    width: int
    height: int
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str


class Tier(_Answer):
    """A value of ``quality`` that a model offers, and the steps and the sampler that it brings."""

    quality: str
    description: str
    num_inference_steps: int
    scheduler: str


class Model(_Answer):
    id: str
    description: str
    licence: str
    commercial_use: bool
    memory_gib: float
    schedulers: list[str]
    limits: Limits
    defaults: Defaults
    tiers: list[Tier] = []
    default: bool
    loaded: bool


class ModelList(_Answer):
    data: list[Model]


class Link(_Answer):
    """A link to a clip that needs no key until it expires."""

    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Update:
    """News of a job: its record as it stands and, now and then, a JPEG of the clip in the making."""

    job: Job
    preview: bytes | None = field(default=None, repr=False)


def note_of(job: Job) -> str:
    """Step and seconds left, or the place in the queue."""
    if job.status == "queued":
        ahead = job.queue_position
        return "" if ahead is None else "next" if ahead == 0 else f"{ahead} ahead"
    if job.is_final:
        return ""
    eta = "" if job.eta_seconds is None else f", {job.eta_seconds:.0f} s left"
    return f"step {job.progress.step}/{job.progress.total}{eta}"
