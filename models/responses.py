"""What the endpoints answer."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from models.job import JobError, JobProgress, JobStatus, Timings
from models.video import Quality, Video, VideoParams


class JobResponse(BaseModel):
    """A job as its owner sees it."""

    object: Literal["video"] = "video"
    id: str
    owner: str
    status: JobStatus
    model: str
    params: VideoParams
    progress: JobProgress
    priority: int
    queue_position: int | None = Field(None, description="Jobs ahead in the queue; only while queued.")
    eta_seconds: float | None = Field(None, description="Estimated seconds until done; None where unknown.")
    attempt: int
    fence: int
    cancel_requested: bool
    error: JobError | None = None
    video: Video | None = None
    timings: Timings
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
    urls: dict[str, str] = Field(description="Paths of the record, the events, the clip and its pictures.")


class JobList(BaseModel):
    object: Literal["list"] = "list"
    data: list[JobResponse]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ErrorBody(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: str


class ErrorEnvelope(BaseModel):
    """The shape of every error."""

    error: ErrorBody


class IntRange(BaseModel):
    minimum: int
    maximum: int
    multiple_of: int = 1


class FloatRange(BaseModel):
    minimum: float
    maximum: float


class ModelLimits(BaseModel):
    width: IntRange
    height: IntRange
    num_frames: IntRange
    fps: IntRange
    num_inference_steps: IntRange
    guidance_scale: FloatRange
    max_pixels: int = Field(description="Largest width × height × num_frames of one clip.")


class ModelDefaults(BaseModel):
    negative_prompt: str
    width: int
    height: int
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str


class ModelTier(BaseModel):
    """A value of ``quality`` that the model offers, and what it changes."""

    quality: Quality
    description: str
    num_inference_steps: int = Field(description="Steps of a request that names none.")
    scheduler: str = Field(description="Sampler of a request that names none.")
    guidance_sigmas: tuple[float, float] | None = Field(
        description="Noise levels between which guidance is computed; null: all."
    )
    cache_interval: int = Field(
        description="Of so many calls of the network one is whole, the others reuse its inner layers."
    )
    fp8: bool = Field(description="Whether linear layers compute in 8 bits on a card that has them.")


class ModelResponse(BaseModel):
    object: Literal["model"] = "model"
    id: str
    description: str
    checkpoint: str
    revision: str | None
    licence: str
    commercial_use: bool
    memory_gib: float
    schedulers: list[str]
    example_prompts: list[str]
    limits: ModelLimits
    defaults: ModelDefaults
    tiers: list[ModelTier]
    default: bool = Field(description="Whether requests that name no model get this one.")
    loaded: bool


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelResponse]


class VideoLink(BaseModel):
    """A link that needs no key until it expires."""

    url: str
    expires_at: datetime


class Health(BaseModel):
    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = Field(default_factory=dict)
