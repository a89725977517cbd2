"""Refuses request bodies that are too large or too slow, in the envelope of all errors."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.error_handlers import BodyTooLarge, body_too_large

_DRAINED_FACTOR = 8


class BodyLimit:
    """Lets at most ``max_bytes`` through, and waits at most ``max_seconds`` for all of it.

    A body that declares more is read to its end, up to eight times ``max_bytes``, before it is refused: a
    client that is cut off while it still sends may never see the answer. ``uploads`` are paths with limits of
    their own, in bytes, twice of which are read: whoever answers there keeps at most ``max_bytes`` in memory.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, max_seconds: float, uploads: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._uploads = uploads or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._max_seconds
        max_bytes = self._uploads.get(scope["path"], self._max_bytes)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > max_bytes):
            await self._drain(receive, deadline, max_bytes)
            await body_too_large(max_bytes)(scope, receive, send)
            return
        received, more_body = 0, True

        async def receive_at_most() -> Message:
            nonlocal received, more_body
            if not more_body:
                return await receive()  # whether the client is still there
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            more_body = message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > max_bytes:
                await self._drain(receive, deadline, max_bytes)
                raise BodyTooLarge(max_bytes)
            return message

        await self._app(scope, receive_at_most, send)

    async def _drain(self, receive: Receive, deadline: float, max_bytes: int) -> None:
        drained = 0
        try:
            async with asyncio.timeout_at(deadline):
                while drained < max(_DRAINED_FACTOR * self._max_bytes, 2 * max_bytes):
                    message = await receive()
                    drained += len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return  # The refusal does not wait any longer.
