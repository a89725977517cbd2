"""OpenAI's video API: a second door to the same jobs, for its SDKs as they are.

``OpenAI(base_url="http://localhost:8000/v1", api_key=…).videos`` works unmodified. Errors have statuses that
the SDKs know and do not retry in vain (``app/openai_errors.py``).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from models.job import Job
from models.openai_video import OpenAIVideo, OpenAIVideoDeleted, OpenAIVideoList, OpenAIVideoRemix
from models.responses import ErrorEnvelope
from routers.admission import ADMITTED, require_priority
from routers.dependencies import Answers, Caller, Models, Owner, Present, Videos, errors
from routers.idempotency import IdempotencyKey
from routers.listing import PageQuery
from routers.openai_body import CREATE_BODY, CreateBody
from routers.variants import ClipsOf, Variant
from services.errors import InvalidRequest
from services.job_store import JobQuery
from services.openai_videos import as_openai_video, poll_after_ms, to_video_create
from services.presenting import Presenter

POLL_AFTER = "openai-poll-after-ms"

_REFUSED: Answers = {
    400: {
        "model": ErrorEnvelope,
        "description": (
            "A parameter is missing, unknown or out of its limits: `param` names it. Or the state of things "
            "does not allow it: `code` names what is in the way."
        ),
    }
}

router = APIRouter(prefix="/v1/videos", tags=["openai"], responses=_REFUSED | errors(401, 403, 429, 503))

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_POLL_HEADER: Answers = {
    200: {
        "headers": {
            POLL_AFTER: {
                "description": "Milliseconds until it is worth to ask again; only while unfinished.",
                "schema": {"type": "integer"},
            }
        }
    }
}
_CONTENT_ANSWERS: Answers = {
    200: {"description": "The file.", "content": {"video/mp4": _BINARY, "image/webp": _BINARY}},
    206: {
        "description": "The bytes that `Range` asks for.",
        "content": {"video/mp4": _BINARY, "image/webp": _BINARY},
    },
    304: {"description": "The file is the one the caller has."},
}


@router.post(
    "",
    summary="Make a clip",
    responses=_POLL_HEADER | errors(408, 413, 415),
    dependencies=[ADMITTED],
    openapi_extra=CREATE_BODY,
)
async def create_openai_video(
    payload: CreateBody,
    response: Response,
    owner: Owner,
    principal: Caller,
    videos: Videos,
    presenter: Present,
    catalogue: Models,
    idempotency_key: IdempotencyKey = None,
) -> OpenAIVideo:
    """`client.videos.create` and `create_and_poll`. What `POST /videos` takes may come in `extra_body`.

    `seconds` × `fps` gives `num_frames`; of `seconds`, `fps` and `num_frames` two decide the third.
    """
    require_priority(principal, payload.priority)
    created = await videos.create(owner, to_video_create(payload, catalogue), idempotency_key)
    return await _answer(created.job, presenter, response)


@router.get("", summary="List clips", responses=errors(404))
async def list_openai_videos(
    owner: Owner, videos: Videos, presenter: Present, paging: PageQuery
) -> OpenAIVideoList:
    """`client.videos.list`: jobs in every status, newest first. The next page begins `after` `last_id`."""
    page = await videos.page(
        JobQuery(owner=owner, after=paging.after, limit=paging.limit, order=paging.order)
    )
    data = [as_openai_video(record) for record in await presenter.present_all(page.jobs)]
    return OpenAIVideoList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=page.has_more,
    )


@router.post("/edits", include_in_schema=False)
@router.post("/extensions", include_in_schema=False)
@router.post("/characters", include_in_schema=False)
@router.get("/characters/{id}", include_in_schema=False)
async def refuse_what_needs_a_clip(_owner: Owner) -> None:
    """What else `client.videos` has: `edit`, `extend`, `create_character`, `get_character`."""
    raise InvalidRequest(
        "The models here make clips from text alone: they neither edit nor extend clips, and know no "
        "characters. remix makes a clip again with another prompt.",
        code="unsupported_operation",
    )


@router.get("/{id}", summary="Get a clip's state", responses=_POLL_HEADER | errors(404))
async def retrieve_openai_video(
    id: str, response: Response, owner: Owner, videos: Videos, presenter: Present
) -> OpenAIVideo:
    """`client.videos.retrieve` and `poll`."""
    return await _answer(await videos.get(id, owner), presenter, response)


@router.delete("/{id}", summary="Delete a clip and its record", responses=errors(404))
async def delete_openai_video(id: str, owner: Owner, videos: Videos) -> OpenAIVideoDeleted:
    """`client.videos.delete`. Only of a job that has ended: `POST /jobs/{id}/cancel` ends it."""
    await videos.delete(id, owner)
    return OpenAIVideoDeleted(id=id)


@router.head("/{id}/content", include_in_schema=False)
@router.get(
    "/{id}/content",
    summary="Get a clip, its thumbnail or its spritesheet",
    response_class=Response,
    responses=_CONTENT_ANSWERS | errors(404, 412, 416),
)
async def download_openai_video(
    id: str,
    request: Request,
    owner: Owner,
    videos: Videos,
    clips: ClipsOf,
    variant: Annotated[Variant, Query(description="Which of the files.")] = Variant.VIDEO,
) -> Response:
    """`client.videos.download_content`. While unfinished 400; once the file has expired 404."""
    return await clips.serve(request, await videos.get(id, owner), variant, download=True)


@router.post(
    "/{id}/remix",
    summary="Make a clip again with another prompt",
    responses=_POLL_HEADER | errors(404, 408, 413, 415),
    dependencies=[ADMITTED],
)
async def remix_openai_video(
    id: str,
    payload: OpenAIVideoRemix,
    response: Response,
    owner: Owner,
    videos: Videos,
    presenter: Present,
    idempotency_key: IdempotencyKey = None,
) -> OpenAIVideo:
    """`client.videos.remix`: of a completed clip. All other parameters stay, the seed too."""
    created = await videos.remix(id, owner, payload.prompt, idempotency_key)
    return await _answer(created.job, presenter, response)


async def _answer(job: Job, presenter: Presenter, response: Response) -> OpenAIVideo:
    record = await presenter.present(job)
    if (milliseconds := poll_after_ms(record)) is not None:
        response.headers[POLL_AFTER] = str(milliseconds)
    return as_openai_video(record)
