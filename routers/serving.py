"""Serving a file that never changes: conditional requests, one byte range (RFC 9110, sections 13 and 14)."""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.errors import Expired, ServiceError

_CHUNK_BYTES = 256 * 1024
# A browser that opens the file by itself shows it in a page of its own making, with styles within.
_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
)
_RANGE = re.compile(r"bytes\s*=\s*(?P<first>\d{0,18})\s*-\s*(?P<last>\d{0,18})\s*", re.IGNORECASE)


class PreconditionFailed(ServiceError):
    status, type, code = 412, "invalid_request_error", "precondition_failed"


class RangeNotSatisfiable(ServiceError):
    status, type, code = 416, "invalid_request_error", "range_not_satisfiable"


@dataclass(frozen=True)
class Span:
    """Bytes ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


async def serve_file(
    request: Request, path: Path, *, media_type: str, etag: str, headers: Mapping[str, str]
) -> Response:
    """Answer GET or HEAD with the file: 200, 206 or 304.

    The file is opened once and served from its descriptor, so that deleting it meanwhile cuts nobody off.
    ``etag`` is the strong validator without quotes. Raises Expired when there is no such file,
    PreconditionFailed and RangeNotSatisfiable.
    """
    try:
        descriptor, stat = await asyncio.to_thread(_open, path)
    except FileNotFoundError:
        raise Expired("The clip's file is gone; its job's record is kept.", code="video_expired") from None
    body = _Body(descriptor)
    try:
        modified = formatdate(int(stat.st_mtime), usegmt=True)
        shared = {
            "ETag": f'"{etag}"',
            "Last-Modified": modified,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Security-Policy": _POLICY,
            **headers,
        }
        if _is_unchanged(request.headers, f'"{etag}"', int(stat.st_mtime)):
            body.close()
            return Response(status_code=304, headers=shared)
        whole = Span(0, stat.st_size - 1)
        span = _requested_span(request, f'"{etag}"', modified, stat.st_size)
    except BaseException:
        body.close()
        raise
    status = 200
    if span is not None:
        status, shared["Content-Range"] = 206, f"bytes {span.first}-{span.last}/{stat.st_size}"
    return _FileSpan(body, span or whole, status, shared, media_type)


def _open(path: Path) -> tuple[int, os.stat_result]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return descriptor, os.fstat(descriptor)


class _Body:
    """An open descriptor that is closed once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _FileSpan(Response):
    def __init__(
        self, body: _Body, span: Span, status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        self._body, self._span = body, span
        self.status_code, self.media_type, self.background = status, media_type, None
        self.init_headers({**headers, "Content-Length": str(span.length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            offset, end = self._span.first, self._span.last + 1
            if scope["method"] == "HEAD":
                offset = end
            while offset < end:
                chunk = await asyncio.to_thread(self._body.read, offset, min(_CHUNK_BYTES, end - offset))
                if not chunk:
                    raise OSError("the file became shorter while it was served")
                offset += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._body.close()


def _is_unchanged(headers: Headers, etag: str, modified: int) -> bool:
    """Evaluate preconditions in the order of RFC 9110, section 13.2.2. True means 304."""
    if (matches := headers.get("if-match")) is not None:
        if not _lists(matches, etag, weak=False):
            raise PreconditionFailed("The clip is not the one that If-Match names.")
    elif (unmodified := _seconds(headers.get("if-unmodified-since"))) is not None and modified > unmodified:
        raise PreconditionFailed("The clip has changed since If-Unmodified-Since.")
    if (matches := headers.get("if-none-match")) is not None:
        return _lists(matches, etag, weak=True)
    since = _seconds(headers.get("if-modified-since"))
    return since is not None and modified <= since


def _lists(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = [tag.strip() for tag in header.split(",")]
    return etag in ([tag.removeprefix("W/") for tag in tags] if weak else tags)


def _seconds(date: str | None) -> float | None:
    """An HTTP date in seconds since the epoch; None, as for no date, when it cannot be read."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _requested_span(request: Request, etag: str, modified: str, size: int) -> Span | None:
    """The one range to serve; None for all bytes: no range, several, or one that is not well-formed.

    Range is defined for GET alone (RFC 9110, section 14.2), and a server may ignore it: several ranges get
    everything, which every client must understand.
    """
    header = request.headers.get("range")
    validator = request.headers.get("if-range")
    if (
        header is None
        or request.method != "GET"
        or (validator is not None and validator not in (etag, modified))
    ):
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match["first"] or match["last"]):
        return None
    if match["first"]:
        first, last = int(match["first"]), int(match["last"] or size - 1)
        if last < first and match["last"]:
            return None
    else:
        first, last = max(0, size - int(match["last"])), size - 1
    if first >= size:
        raise RangeNotSatisfiable(
            f"The range lies outside the clip of {size} bytes.", headers={"Content-Range": f"bytes */{size}"}
        )
    return Span(first, min(last, size - 1))
