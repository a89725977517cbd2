"""Around every request: its id, its log line, its metrics, and a clean answer when all else fails."""

import logging
import re
import secrets
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from app.error_handlers import internal_error
from services.metrics import Metrics

logger = logging.getLogger("app.requests")

REQUEST_ID = "X-Request-ID"
_LOGGED_PATH_CHARS = 200
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestContext:
    """Gives each request an id, the caller's X-Request-ID where it is plain, in every log line and answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        presented = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = presented if _ACCEPTED_ID.fullmatch(presented) else f"req_{secrets.token_hex(12)}"
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                headers.update(scope["state"].get("answer_headers", {}))
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                path = scope["path"][:_LOGGED_PATH_CHARS]
                logger.exception("%s %s failed", scope["method"], path)
                if status:
                    raise  # The answer is under way: cutting the connection is all that is left.
                await internal_error()(scope, receive, send_with_id)
            finally:
                _record(scope, status or HTTPStatus.INTERNAL_SERVER_ERROR, time.perf_counter() - started)


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "none")
    metrics: Metrics = scope["state"]["metrics"]
    metrics.observe_request(_known(scope["method"]), route, status, seconds)
    level = logging.DEBUG if route.startswith(("/health", "/metrics")) else logging.INFO
    # Without the query: it may hold a link's signature.
    details = {
        "method": scope["method"],
        "path": scope["path"][:_LOGGED_PATH_CHARS],
        "status": status,
        "seconds": round(seconds, 4),
    }
    if (principal := scope["state"].get("principal")) is not None:
        details |= {"owner": principal.owner, "key": principal.key_id or "configured"}
    logger.log(level, "request", extra=details)


def _known(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
