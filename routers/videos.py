"""Making clips, and getting them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response, status

from models.job import JobStatus
from models.responses import JobList, JobResponse, VideoLink
from models.video import VideoCreate
from routers.admission import ADMITTED, HeldAnswers, require_priority
from routers.dependencies import Answers, Caller, Links, Owner, Present, Videos, Viewer, Watch, errors
from routers.idempotency import REPLAYED, IdempotencyKey
from routers.listing import VideoQuery, list_jobs
from routers.negotiation import prefers_json, wait_seconds
from routers.variants import SPRITESHEET, ClipsOf, Variant
from services.links import MAX_EXPIRES_IN

MAX_WAIT_SECONDS = 300

router = APIRouter(tags=["videos"], responses=errors(401, 403, 429))

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LOCATION = {
    "Location": {"description": "The job's record.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "What is left of the rate, where there is one.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {"description": "The rate, where there is one.", "schema": {"type": "string"}},
}
_CLIP_ANSWERS: Answers = {
    200: {
        "description": "The clip, or with `Accept: application/json` the job's record.",
        "content": {
            "video/mp4": _BINARY,
            "application/json": {"schema": {"$ref": "#/components/schemas/JobResponse"}},
        },
    },
    206: {"description": "The bytes that `Range` asks for.", "content": {"video/mp4": _BINARY}},
    304: {"description": "The clip is the one the caller has."},
}


_CREATE_ANSWERS: Answers = {
    200: {"model": JobResponse, "description": "Done within `Prefer: wait`.", "headers": _LOCATION},
    202: {"description": "Queued.", "headers": _LOCATION},
}
_IMAGE_ANSWERS: Answers = {
    200: {"description": "The image.", "content": {"image/webp": _BINARY}},
    206: {"description": "The bytes that `Range` asks for.", "content": {"image/webp": _BINARY}},
    304: {"description": "The image is the one the caller has."},
}
_SPRITESHEET_ANSWERS: Answers = {
    200: _IMAGE_ANSWERS[200]
    | {
        "headers": {
            SPRITESHEET: {
                "description": (
                    "The grid: `columns`, `rows`, `tiles`, and `width` and `height` of one tile in pixels."
                ),
                "schema": {"type": "string"},
            }
        }
    },
    206: _IMAGE_ANSWERS[206],
    304: _IMAGE_ANSWERS[304],
}


@router.post(
    "/videos",
    status_code=202,
    response_model=JobResponse,
    summary="Make a clip",
    responses=_CREATE_ANSWERS | errors(400, 401, 408, 413, 415, 422, 503),
    dependencies=[ADMITTED],
)
async def create_video(
    payload: VideoCreate,
    request: Request,
    response: Response,
    owner: Owner,
    principal: Caller,
    videos: Videos,
    presenter: Present,
    watcher: Watch,
    answers: HeldAnswers,
    prefer: Annotated[
        str | None,
        Header(description="`wait=<seconds>` holds the answer until done, at most so long."),
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> JobResponse:
    """Queues a job and answers with its record. Follow it at `/jobs/{id}`, then get `/videos/{id}`."""
    require_priority(principal, payload.priority)
    created = await videos.create(owner, payload, idempotency_key)
    job = created.job
    if created.replayed:
        response.headers[REPLAYED] = "true"
    if (seconds := wait_seconds(request.headers.getlist("prefer"), MAX_WAIT_SECONDS)) is not None:
        with answers.hold(owner) as held:
            # A preference may go unheeded (RFC 7240, section 2): with too many held, the answer is not.
            if held:
                response.headers["Preference-Applied"] = f"wait={seconds}"
                job = await watcher.wait(job, seconds)
        if job.status.is_final:
            response.status_code = status.HTTP_200_OK
    response.headers["Location"] = f"/jobs/{job.id}"
    return await presenter.present(job)


@router.get("/videos", summary="List the finished clips", responses=errors(401, 422, 503))
async def list_videos(owner: Owner, videos: Videos, presenter: Present, filters: VideoQuery) -> JobList:
    """The finished clips, newest first."""
    return await list_jobs(videos, presenter, owner, filters, JobStatus.COMPLETED)


@router.head("/videos/{id}", include_in_schema=False)
@router.get(
    "/videos/{id}",
    name="video",
    summary="Get a clip",
    response_class=Response,
    responses=_CLIP_ANSWERS | errors(401, 403, 404, 409, 410, 412, 416, 422, 503),
)
async def get_video(
    id: str,
    request: Request,
    viewer: Viewer,
    videos: Videos,
    presenter: Present,
    clips: ClipsOf,
    download: Annotated[bool, Query(description="Answer as a file to save.")] = False,
    accept: Annotated[str | None, Header(description="`application/json` gives the job's record.")] = None,
) -> Response:
    """The MP4, whole or the range asked for. A signed link gives the clip alone, never the record."""
    job = await videos.get(id, viewer)
    if viewer is not None and prefers_json(accept):
        record = await presenter.present(job)
        return Response(
            record.model_dump_json(),
            media_type="application/json",
            headers={"Vary": "Accept", "Cache-Control": "no-store"},
        )
    return await clips.serve(request, job, Variant.VIDEO, download=download)


@router.head("/videos/{id}/thumbnail", include_in_schema=False)
@router.get(
    "/videos/{id}/thumbnail",
    name="thumbnail",
    summary="Get a clip's thumbnail",
    response_class=Response,
    responses=_IMAGE_ANSWERS | errors(401, 403, 404, 409, 410, 412, 416, 422, 503),
)
async def get_thumbnail(
    id: str, request: Request, viewer: Viewer, videos: Videos, clips: ClipsOf
) -> Response:
    return await clips.serve(request, await videos.get(id, viewer), Variant.THUMBNAIL)


@router.head("/videos/{id}/spritesheet", include_in_schema=False)
@router.get(
    "/videos/{id}/spritesheet",
    name="spritesheet",
    summary="Get all of a clip in one picture",
    response_class=Response,
    responses=_SPRITESHEET_ANSWERS | errors(401, 403, 404, 409, 410, 412, 416, 422, 503),
)
async def get_spritesheet(
    id: str, request: Request, viewer: Viewer, videos: Videos, clips: ClipsOf
) -> Response:
    """Its frames in a grid, in order of time, row by row; made when first asked for.

    Of clips with more than 64 frames 64 are shown, evenly spread.
    """
    return await clips.serve(request, await videos.get(id, viewer), Variant.SPRITESHEET)


@router.post(
    "/videos/{id}/link", summary="Make an expiring link", responses=errors(401, 404, 409, 410, 422, 503)
)
async def create_link(
    id: str,
    request: Request,
    owner: Owner,
    videos: Videos,
    links: Links,
    expires_in: Annotated[int, Query(ge=1, le=MAX_EXPIRES_IN, description="Seconds.")] = 3600,
) -> VideoLink:
    """A link to the clip that needs no key until it expires, as `<video src>` wants it.

    Its query opens `/videos/{id}/thumbnail` and `/videos/{id}/spritesheet` too.
    """
    videos.require_video(await videos.get(id, owner))
    expires, signature = links.sign(id, expires_in)
    url = request.url_for("video", id=id).include_query_params(expires=expires, signature=signature)
    return VideoLink(url=str(url), expires_at=datetime.fromtimestamp(expires, UTC))
