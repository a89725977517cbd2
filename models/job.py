"""The MongoDB document of a job."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from models.video import Video, VideoParams
from models.webhook import WebhookTarget


class JobStatus(StrEnum):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class JobProgress(BaseModel):
    step: int = 0
    total: int
    percent: float = 0.0


class JobError(BaseModel):
    code: str
    message: str


class Lease(BaseModel):
    """Who runs the job now. Never shown to callers."""

    worker: str
    token: str
    expires_at: datetime


class Timings(BaseModel):
    """Seconds spent in each stage; None until the stage has ended."""

    queued: float | None = None
    load: float | None = None
    encode_prompt: float | None = None
    denoise: float | None = None
    decode: float | None = None
    encode: float | None = None


class Job(BaseModel):
    """One request for a clip and everything that became of it.

    ``fence`` grows by one at every claim: a write that carries an older fence changes nothing.
    ``turn``, ``place`` and ``seat`` are those of ``services.fair_queue``.
    ``webhooks_due`` is True from the job's end until the deliveries to ``webhooks`` are made, else None.
    Times are UTC, in whole milliseconds (MongoDB keeps no more).
    """

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    owner: str
    status: JobStatus = JobStatus.QUEUED
    model: str
    params: VideoParams
    progress: JobProgress
    priority: int = 0
    turn: int = 0
    place: str | None = None
    seat: str | None = None
    attempt: int = 0
    fence: int = 0
    lease: Lease | None = None
    cancel_requested: bool = False
    error: JobError | None = None
    video: Video | None = None
    timings: Timings = Field(default_factory=Timings)
    prompt_truncated: bool = False
    dropped_text: str | None = None
    unknown_words: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    retry_of: str | None = None
    remix_of: str | None = None
    webhook_url: str | None = None
    webhooks: list[WebhookTarget] = Field(default_factory=list)
    webhooks_due: bool | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    file_expired: bool = False
    write_token: str = ""

    def to_document(self) -> dict[str, Any]:
        """As MongoDB stores it. What is None is left out: the embedded server matches null loosely."""
        document = self.model_dump(by_alias=True, exclude_none=True)
        return document | {
            "status": self.status.value,
            "webhooks": [target.value for target in self.webhooks],
        }
