"""Refuses request bodies that are too large, declared or not, in the envelope of all errors."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.error_handlers import body_too_large

_DRAINED_FACTOR = 8


class BodyLimit:
    """Lets at most ``max_bytes`` through.

    A body that declares more is read to its end, up to eight times the limit, before it is refused: a client
    that is cut off while it still sends may never see the answer.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self._max_bytes):
            await self._drain(receive)
            await body_too_large()(scope, receive, send)
            return
        received = 0

        async def receive_at_most() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                await self._drain(receive)
                raise HTTPException(413)
            return message

        await self._app(scope, receive_at_most, send)

    async def _drain(self, receive: Receive) -> None:
        drained = 0
        while drained < _DRAINED_FACTOR * self._max_bytes:
            message = await receive()
            drained += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return
