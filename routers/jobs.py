"""The history of jobs, and what can be done with one."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Response
from sse_starlette import EventSourceResponse, JSONServerSentEvent

from models.job import Job, JobStatus
from models.responses import JobList, JobResponse
from routers.admission import ADMITTED, HOLDING_A_STREAM
from routers.dependencies import Answers, Owner, Present, Videos, Watch, errors
from routers.idempotency import REPLAYED, IdempotencyKey
from routers.listing import JobsQuery, list_jobs
from services.events import Preview
from services.presenting import Presenter
from services.watching import Watcher

KEEP_ALIVE_SECONDS = 15

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=errors(401, 403, 429))

_EVENT_SCHEMA = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["status", "progress", "preview", "end"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_EVENTS_ANSWER: Answers = {
    200: {
        "description": (
            "Server-sent events, each with JSON data: `status` (the record, first and at every change of "
            "status), `progress` (`step`, `total`, `percent`, `eta_seconds`), `preview` (now and then, where "
            "the process that answers also runs the job: `step`, and as `image` the `data:` URL of a small "
            "picture of the clip in the making), `end` (the final record)."
        ),
        "content": {"text/event-stream": {"schema": _EVENT_SCHEMA}},
    }
}


_DELETE_ANSWER: Answers = {204: {"description": "Record and files are gone."}}
_RETRY_ANSWER: Answers = {
    202: {
        "description": "Queued.",
        "headers": {"Location": {"description": "The new job's record.", "schema": {"type": "string"}}},
    }
}


@router.get("", summary="List jobs", responses=errors(401, 422, 503))
async def list_all(owner: Owner, videos: Videos, presenter: Present, filters: JobsQuery) -> JobList:
    """All jobs, newest first. The next page begins `after` the `last_id` of this one."""
    return await list_jobs(videos, presenter, owner, filters, filters.status)


@router.get("/{id}", summary="Get a job", responses=errors(401, 404, 503))
async def get_job(id: str, owner: Owner, videos: Videos, presenter: Present) -> JobResponse:
    return await presenter.present(await videos.get(id, owner))


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Delete a job and its clip",
    responses=_DELETE_ANSWER | errors(401, 404, 409, 503),
)
async def delete_job(id: str, owner: Owner, videos: Videos) -> None:
    """Only a job that has ended can be deleted: cancel it first."""
    await videos.delete(id, owner)


@router.post("/{id}/cancel", summary="Cancel a job", responses=errors(401, 404, 409, 503))
async def cancel_job(id: str, owner: Owner, videos: Videos, presenter: Present) -> JobResponse:
    """A queued job is cancelled at once, a running one within a step. Cancelling it again changes nothing."""
    return await presenter.present(await videos.cancel(id, owner))


@router.post(
    "/{id}/retry",
    status_code=202,
    summary="Run a failed or cancelled job again",
    responses=_RETRY_ANSWER | errors(401, 404, 409, 503),
    dependencies=[ADMITTED],
)
async def retry_job(
    id: str,
    response: Response,
    owner: Owner,
    videos: Videos,
    presenter: Present,
    idempotency_key: IdempotencyKey = None,
) -> JobResponse:
    """Makes a new job with the same parameters, seed included; `retry_of` names the old one."""
    created = await videos.retry(id, owner, idempotency_key)
    if created.replayed:
        response.headers[REPLAYED] = "true"
    response.headers["Location"] = f"/jobs/{created.job.id}"
    return await presenter.present(created.job)


@router.get(
    "/{id}/events",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses=_EVENTS_ANSWER | errors(401, 404, 503),
    dependencies=[HOLDING_A_STREAM],
)
async def job_events(
    id: str, owner: Owner, videos: Videos, presenter: Present, watcher: Watch
) -> EventSourceResponse:
    """Begins with the job as it stands, ends when the job does. Who comes back gets the present state."""
    await videos.get(id, owner)
    return EventSourceResponse(_events(watcher.watch(id, owner), presenter, watcher), ping=KEEP_ALIVE_SECONDS)


async def _events(
    snapshots: AsyncGenerator[Job], presenter: Presenter, watcher: Watcher
) -> AsyncGenerator[JSONServerSentEvent]:
    status: JobStatus | None = None
    shown: Preview | None = None
    number = 0
    async with aclosing(snapshots):
        async for job in snapshots:
            response = await presenter.present(job)
            preview = watcher.preview(job.id)
            for kind, data in _news(response, status, job, preview if preview is not shown else None):
                number += 1
                yield JSONServerSentEvent(data, event=kind, id=f"{job.fence}-{number}")
            status, shown = job.status, preview


def _news(
    response: JobResponse, last_status: JobStatus | None, job: Job, preview: Preview | None
) -> list[tuple[str, dict[str, Any]]]:
    record = response.model_dump(mode="json")
    news: list[tuple[str, dict[str, Any]]] = []
    if job.status is not last_status:
        news.append(("status", record))
    if job.status is JobStatus.IN_PROGRESS:
        news.append(("progress", record["progress"] | {"eta_seconds": response.eta_seconds}))
        if preview is not None:
            image = f"data:image/jpeg;base64,{b64encode(preview.image).decode()}"
            news.append(("preview", {"step": preview.step, "image": image}))
    if job.status.is_final:
        news.append(("end", record))
    return news
