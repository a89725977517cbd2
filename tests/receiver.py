"""A receiver of webhooks, written with the ``standardwebhooks`` package, as its users write theirs."""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass(frozen=True)
class Received:
    """One request whose signature is good."""

    event: dict[str, Any]
    body: bytes
    headers: dict[str, str]
    path: str


@dataclass
class Receiver:
    """Answers 204, or what ``answers`` says first.

    Attributes:
        answers: Status codes for the next requests.
        location: The Location header of every answer, if any.
        hold: While set, no request is answered.
        refused: What was wrong with requests that do not verify.
    """

    url: str
    port: int
    answers: list[int] = field(default_factory=list)
    location: str | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    requests: list[Received] = field(default_factory=list)
    refused: list[Exception] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [request.event for request in self.requests]


@contextmanager
def receiver(
    host: str = "127.0.0.1", port: int = 0, *, secret: str = SECRET, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    webhook = Webhook(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                event = webhook.verify(body, headers)
            except Exception as error:
                running.refused.append(error)
                self.send_error(400)
                return
            running.requests.append(Received(event, body, headers, self.path))
            if running.hold.is_set():
                running.released.wait(60)
            self.send_response(running.answers.pop(0) if running.answers else 204)
            if running.location is not None:
                self.send_header("Location", running.location)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: requests are kept."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Nothing: a client that goes away, or does not trust the certificate, is part of the tests."""

    server = Server((host, port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    number = server.server_address[1]
    running = Receiver(f"{'https' if tls else 'http'}://{host}:{number}", number)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield running
    finally:
        running.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
