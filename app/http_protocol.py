"""What the service says to bytes that are no HTTP request, which never reach the application."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.error_handlers import envelope
from app.security_headers import SECURITY_HEADERS


class HttpProtocol(H11Protocol):
    """uvicorn's own; its refusals are the envelope of all errors, with the headers of all answers."""

    def send_400_response(self, msg: str) -> None:
        refusal = envelope(
            400, "invalid_request_error", "invalid_http", "The bytes received are not a valid HTTP request."
        )
        security = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
        response = h11.Response(
            status_code=400, headers=[*refusal.raw_headers, *security, (b"connection", b"close")]
        )
        for event in (response, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
