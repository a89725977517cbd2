"""What endpoints ask for: the open services, the owner of the request, and the errors they document."""

from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from authentication import Authenticator, Principal
from models.api_key import Scope
from models.responses import ErrorEnvelope
from services.api_keys import ApiKeyService
from services.catalogue import Catalogue
from services.database_presence import DatabasePresence
from services.errors import InvalidRequest
from services.file_store import FileStore
from services.health import Health
from services.links import LinkSigner
from services.metrics import Metrics
from services.presenting import Presenter
from services.videos import VideoService
from services.watching import Watcher
from services.webhooks import Webhooks

_bearer = HTTPBearer(auto_error=False, scheme_name="Bearer", description="An API key.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="ApiKey", description="An API key.")


def require_database(request: Request) -> None:
    """Raises DatabaseUnavailable while the database is known to be away."""
    cast(DatabasePresence, request.state.presence).require()


def get_videos(request: Request) -> VideoService:
    return cast(VideoService, request.state.videos)


def get_webhooks(request: Request) -> Webhooks:
    return cast(Webhooks, request.state.webhooks)


def get_presenter(request: Request) -> Presenter:
    return cast(Presenter, request.state.presenter)


def get_watcher(request: Request) -> Watcher:
    return cast(Watcher, request.state.watcher)


def get_files(request: Request) -> FileStore:
    return cast(FileStore, request.state.files)


def get_catalogue(request: Request) -> Catalogue:
    return cast(Catalogue, request.state.catalogue)


def get_health(request: Request) -> Health:
    return cast(Health, request.state.health)


def get_metrics(request: Request) -> Metrics:
    return cast(Metrics, request.state.metrics)


def get_links(request: Request) -> LinkSigner:
    return cast(LinkSigner, request.state.links)


def get_api_keys(request: Request) -> ApiKeyService:
    return cast(ApiKeyService, request.state.api_keys)


async def get_principal(
    request: Request, bearer: Annotated[Any, Security(_bearer)], header: Annotated[Any, Security(_header)]
) -> Principal:
    """Who makes this request. The two security schemes put the headers into the API's documentation."""
    authenticator = cast(Authenticator, request.state.authenticator)
    principal = await authenticator.authenticate(
        request.headers.get("authorization"),
        request.headers.get("x-api-key"),
        request.client.host if request.client else "",
    )
    request.state.principal = principal
    return principal


def get_owner(request: Request, principal: Annotated[Principal, Depends(get_principal)]) -> str:
    """Whose jobs this request is about: to look at them needs the scope ``read``, all else ``create``."""
    principal.require(Scope.READ if request.method in ("GET", "HEAD") else Scope.CREATE)
    return principal.owner


def get_admin(principal: Annotated[Principal, Depends(get_principal)]) -> Principal:
    principal.require(Scope.ADMIN)
    return principal


async def get_viewer(
    request: Request,
    id: str,
    links: Annotated[LinkSigner, Depends(get_links)],
    bearer: Annotated[Any, Security(_bearer)],
    header: Annotated[Any, Security(_header)],
    expires: Annotated[int | None, Query(ge=0, le=2**40, description="From a signed link.")] = None,
    signature: Annotated[str | None, Query(max_length=128, description="From a signed link.")] = None,
) -> str | None:
    """Whose clip may be seen: the caller's, or, by a valid signed link, anyone's (None)."""
    if expires is None and signature is None:
        return get_owner(request, await get_principal(request, bearer, header))
    if expires is None or signature is None:
        raise InvalidRequest(
            "A signed link has both expires and signature.",
            param="expires" if expires is None else "signature",
        )
    links.verify(id, expires, signature)
    return None


Videos = Annotated[VideoService, Depends(get_videos)]
WebhooksOf = Annotated[Webhooks, Depends(get_webhooks)]
Present = Annotated[Presenter, Depends(get_presenter)]
Watch = Annotated[Watcher, Depends(get_watcher)]
Files = Annotated[FileStore, Depends(get_files)]
Models = Annotated[Catalogue, Depends(get_catalogue)]
HealthOf = Annotated[Health, Depends(get_health)]
MetricsOf = Annotated[Metrics, Depends(get_metrics)]
Links = Annotated[LinkSigner, Depends(get_links)]
ApiKeysOf = Annotated[ApiKeyService, Depends(get_api_keys)]
Caller = Annotated[Principal, Depends(get_principal)]
Owner = Annotated[str, Depends(get_owner)]
Admin = Annotated[Principal, Depends(get_admin)]
Viewer = Annotated[str | None, Depends(get_viewer)]

Answers = dict[int | str, dict[str, Any]]
"""The documentation of an endpoint's answers, by status."""

_REASONS = {
    400: "The request cannot be read.",
    401: "An API key is missing, not known, revoked or expired.",
    403: "The key lacks the scope, or the signed link is not valid or its time is over.",
    404: "There is no such thing, or it belongs to somebody else.",
    405: "The method is not offered here; `Allow` names those that are.",
    406: "None of the accepted media types is offered.",
    408: "The body did not arrive in time.",
    409: "The state of things does not allow it; `code` names what is in the way.",
    410: "The clip's file is gone; its record is kept.",
    412: "A precondition does not hold.",
    413: "The body is larger than 1 MiB, or with an image than 8 MiB.",
    415: "The body is not of a type that is read here.",
    416: "The range lies outside the clip.",
    422: "A parameter is missing, unknown or out of its limits; `param` names it.",
    429: "Too many requests, or too many wrong keys; `Retry-After` says when to try again.",
    500: "An error of the service; its log holds the details under the answer's X-Request-ID.",
    503: "The queue is full or the database is away; `Retry-After` says when to try again.",
}


def errors(*statuses: int) -> Answers:
    """The documentation of error answers, all of them one envelope."""
    return {status: {"model": ErrorEnvelope, "description": _REASONS[status]} for status in statuses}
