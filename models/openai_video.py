"""Clips as OpenAI's video API says them: what its SDKs send to ``/v1/videos`` and read there."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.job import JobError
from models.video import Prompt, Quality, VideoCreate

MAX_SECONDS = 3600

Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$")]


class OpenAIVideoCreate(VideoCreate):
    """A request as the SDKs send it. All that ``POST /videos`` takes may come in ``extra_body``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"prompt": "a red circle moving left", "seed": 7}]},
    )

    seconds: float | None = Field(
        None, gt=0, le=MAX_SECONDS, allow_inf_nan=False, description="Length of the clip: num_frames / fps."
    )
    size: Size | None = Field(None, description="Width and height in pixels, as in 256x256.")
    input_reference: Any = Field(None, description="An image. No model here takes one: it is refused.")


class OpenAIVideoRemix(BaseModel):
    """A request for a completed clip again, with another prompt."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"prompt": "a blue circle moving left"}]}
    )

    prompt: Prompt = Field(description="What the new clip shows.")


class OpenAIVideo(BaseModel):
    """A job in OpenAI's words, and below them what only this service says. Times in seconds since 1970."""

    object: Literal["video"] = "video"
    id: str
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"] = Field(
        description="A cancelled job has failed, with the error code `cancelled`."
    )
    progress: int = Field(description="Percent.")
    prompt: str
    seconds: str
    size: str
    created_at: int
    completed_at: int | None
    expires_at: int | None = Field(description="When the clip's file is deleted.")
    error: JobError | None
    remixed_from_video_id: str | None

    negative_prompt: str
    num_frames: int
    fps: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    quality: Quality
    seed: int
    queue_position: int | None
    eta_seconds: float | None
    metadata: dict[str, str]


class OpenAIVideoList(BaseModel):
    object: Literal["list"] = "list"
    data: list[OpenAIVideo]
    first_id: str | None
    last_id: str | None
    has_more: bool


class OpenAIVideoDeleted(BaseModel):
    object: Literal["video.deleted"] = "video.deleted"
    id: str
    deleted: Literal[True] = True
