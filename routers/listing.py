"""The query parameters of lists, and a page as the answer."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from models.job import JobStatus
from models.responses import JobList
from services.errors import InvalidRequest
from services.job_store import JobQuery
from services.presenting import Presenter
from services.videos import VideoService

JobId = Annotated[str, StringConstraints(pattern=r"^video_[0-9A-Za-z]{26}$")]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _iso_8601(value: object) -> object:
    """Refuses bare numbers: ``2026`` would be read as seconds since the epoch, which nobody means."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("give an ISO 8601 time such as 2026-01-31T12:00:00Z")
    return value


Time = Annotated[datetime, BeforeValidator(_iso_8601)]


class Paging(BaseModel):
    """Unknown parameters are refused: a misspelt filter would silently list everything."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Entries on a page.")
    after: JobId | None = Field(None, description="The last id of the page before.")
    order: Literal["asc", "desc"] = Field("desc", description="By time of creation.")


class VideoFilters(Paging):
    model: str | None = Field(None, max_length=200, description="Only this model's.")
    q: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Text that the prompt contains, whatever its case.",
    )
    created_after: Time | None = Field(None, description="ISO 8601; UTC where no zone is given.")
    created_before: Time | None = Field(None, description="ISO 8601; UTC where no zone is given.")


class JobFilters(VideoFilters):
    status: JobStatus | None = Field(None, description="Only jobs in this status.")


PageQuery = Annotated[Paging, Query()]
VideoQuery = Annotated[VideoFilters, Query()]
JobsQuery = Annotated[JobFilters, Query()]


async def list_jobs(
    videos: VideoService, presenter: Presenter, owner: str, filters: VideoFilters, status: JobStatus | None
) -> JobList:
    """One page of the owner's jobs."""
    page = await videos.page(
        JobQuery(
            owner=owner,
            status=status,
            model=filters.model,
            q=filters.q,
            created_after=_utc("created_after", filters.created_after),
            created_before=_utc("created_before", filters.created_before),
            after=filters.after,
            limit=filters.limit,
            order=filters.order,
        )
    )
    data = await presenter.present_all(page.jobs)
    return JobList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=page.has_more,
    )


def _utc(field: str, time: datetime | None) -> datetime | None:
    if time is None:
        return None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    if not _EARLIEST <= aware <= _LATEST:
        raise InvalidRequest(f"{field}: accepted values lie between the years 1970 and 9999.", param=field)
    return aware.astimezone(UTC)
