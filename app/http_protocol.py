"""What the service says on a connection where no request reaches the application."""

import h11
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.error_handlers import envelope
from app.security_headers import SECURITY_HEADERS


class HttpProtocol(H11Protocol):
    """uvicorn's own; its refusals are the envelope of all errors, with the headers of all answers."""

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
        """Answer, where the protocol still allows an answer, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            security = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
            given = [field for field in refusal.raw_headers if field[0] != b"connection"]
            response = h11.Response(
                status_code=refusal.status_code, headers=[*given, *security, (b"connection", b"close")]
            )
            for event in (response, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
