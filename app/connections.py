"""One client's connection, and how long it may keep the service waiting."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from app.error_handlers import envelope, request_timeout
from app.http_protocol import HttpProtocol
from app.settings import Settings

MIN_BYTES_PER_SECOND = 1024

_RETRY_SECONDS = "5"


class Connection(HttpProtocol):
    """HTTP/1.1 with deadlines, which uvicorn has for idle connections alone.

    A request's headers have to arrive within ``T2V_CLIENT_TIMEOUT_SECONDS`` of the connection, or of the
    answer before; so has the rest of a body that the answer did not wait for. (``app.body_limit`` gives the
    same time to bodies that are read.) A client that leaves an answer unread for so long, or reads less than
    1 KiB/s of it, is cut off. Past ``T2V_MAX_CONNECTIONS`` new ones are answered 503 at once.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        settings: Settings = app_state["settings"]
        self._patience = settings.client_timeout_seconds
        self._max_connections = settings.max_connections
        self._request_due: asyncio.TimerHandle | None = None
        self._reading_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Whatever the kernel does not take at once counts as unread.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self._max_connections:
            self.refuse(
                envelope(
                    503,
                    "server_error",
                    "too_many_connections",
                    f"{self._max_connections} connections are open, which is the limit. Try again later.",
                    headers={"Retry-After": _RETRY_SECONDS},
                )
            )
            if len(self.connections) > 2 * self._max_connections:
                self.transport.close()  # no room to wait until it is read
            return
        self._watch_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for due in (self._request_due, self._reading_due):
            if due is not None:
                due.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None

    def _watch_request(self) -> None:
        """The clock runs while the service waits for the client: for a request, or the end of one."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self._is_over or self.transport.is_closing():
            if self._request_due is not None:
                self._request_due.cancel()
                self._request_due = None
        elif self._request_due is None:
            self._request_due = self.loop.call_later(self._patience, self._stop_waiting)

    def _stop_waiting(self) -> None:
        if not (self._is_over or self.transport.is_closing()):
            self.refuse(request_timeout())

    def _watch_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reading_due = self.loop.call_later(self._patience, self._look_at_reading, unread)

    def _look_at_reading(self, unread: int) -> None:
        if unread - self.transport.get_write_buffer_size() < MIN_BYTES_PER_SECOND * self._patience:
            self.transport.abort()
        else:
            self._watch_reading()
