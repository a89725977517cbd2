"""How a connection speaks where no request reaches the application, and how it ends."""

import asyncio

import h11
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.error_handlers import envelope
from app.security_headers import SECURITY_HEADERS

LINGER_SECONDS = 2.0
"""How long a connection is kept that is to end: for a request on its way, for an answer to be read."""

_CLOSE = (b"connection", b"close")


class HttpProtocol(H11Protocol):
    """uvicorn's own; its refusals are the envelope of all errors, with the headers of all answers.

    Once the service stops, answers say that their connection ends, and those that wait for a request end a
    little later. uvicorn's end at once, and fail the request that was on its way.

    A client that is answered while it sends has time to read the answer: a close with bytes unread resets
    the connection, which takes back what was not read (RFC 9112, section 9.6).
    """

    _is_over = False
    """Nothing more is said, and nothing heard."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._service_stops:
            self.shutdown()

    def data_received(self, data: bytes) -> None:
        if not self._is_over:
            super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.transport = _AnswerTransport(self)  # type: ignore[assignment]
            if self._service_stops:
                self._announce_end()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._service_stops and not self.transport.is_closing():  # it had begun before the stop
            self._end_later()

    def shutdown(self) -> None:
        self._announce_end()
        self._end_later()

    @property
    def _service_stops(self) -> bool:
        closing: asyncio.Event = self.app_state["closing"]
        return closing.is_set()

    def _announce_end(self) -> None:
        """Say so with the answer, where it has not begun. The connection then ends with it."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_started and _CLOSE not in cycle.default_headers:
            cycle.default_headers = [*cycle.default_headers, _CLOSE]

    def _end_later(self) -> None:
        self.loop.call_later(LINGER_SECONDS, self._end_unless_answering)

    def _end_unless_answering(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not (is_answering or self._is_over or self.transport.is_closing()):
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self.refuse(
            envelope(
                400,
                "invalid_request_error",
                "invalid_http",
                "The bytes received are not a valid HTTP request.",
            )
        )

    def refuse(self, refusal: JSONResponse) -> None:
        """Answer, where the protocol still allows an answer, and end the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            security = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
            given = [field for field in refusal.raw_headers if field[0] != b"connection"]
            response = h11.Response(status_code=refusal.status_code, headers=[*given, *security, _CLOSE])
            for event in (response, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.end()

    def end(self) -> None:
        """Close; not before the client has done so, or had time to."""
        self._is_over = True
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)


class _AnswerTransport:
    """What an answer sees of its connection: enough to be written and to end it."""

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        if self._protocol.conn.their_state is h11.SEND_BODY:
            self._protocol.end()
        else:
            self._protocol.transport.close()
