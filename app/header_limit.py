"""Refuses requests whose target and headers are too large, in the envelope of all errors."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.error_handlers import headers_too_large

MAX_HEADER_BYTES = 16 * 1024


class HeaderLimit:
    """Lets at most ``max_bytes`` of path, query, header names and header values through."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_HEADER_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _size(scope) > self._max_bytes:
            await headers_too_large()(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _size(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])
