"""Reading ``multipart/form-data`` (RFC 7578) whose files are not wanted: text is kept, files are not."""

import re
from collections.abc import AsyncGenerator
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from services.errors import InvalidRequest, ServiceError

MAX_FIELDS = 100
MAX_TEXT_BYTES = 2**20
A_FILE = object()
"""Stands for the content of a file."""

_NESTED = re.compile(r"(?P<name>[^\[\]]+)\[(?P<key>[^\[\]]*)\]")


class InvalidForm(ServiceError):
    status, type, code = 400, "invalid_request_error", "invalid_form"


class _Parts:
    """What the parser calls."""

    def __init__(self, files: frozenset[str]) -> None:
        self._files = files
        self._header, self._value = b"", b""
        self._disposition = b""
        self._text: bytearray | None = None
        self._text_bytes = 0
        self._name = ""
        self.fields: list[tuple[str, Any]] = []
        self.is_whole = False

    def on_part_begin(self) -> None:
        self._disposition, self._text = b"", None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise InvalidForm("A part of the form has no name.")
        if len(self.fields) == MAX_FIELDS:
            raise InvalidForm(f"The form has more than {MAX_FIELDS} fields.")
        self._name = options[b"name"].decode(errors="replace")[:200]
        is_file = b"filename" in options or self._name.partition("[")[0] in self._files
        self._text = None if is_file else bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._text is None:
            return
        self._text_bytes += end - start
        if self._text_bytes > MAX_TEXT_BYTES:
            raise InvalidForm("The form's text is longer than 1 MiB.")
        self._text += data[start:end]

    def on_part_end(self) -> None:
        if self._text is None:
            self.fields.append((self._name, A_FILE))
            return
        try:
            self.fields.append((self._name, self._text.decode()))
        except UnicodeDecodeError:
            raise InvalidForm(f"{self._name}: is not in UTF-8.", param=self._name) from None

    def on_end(self) -> None:
        self.is_whole = True


async def read_form(request: Request, files: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The form's fields as text; ``name[key]`` gives a dictionary under ``name``.

    Files, and whatever comes as a field of ``files``, are read past and stand there as ``A_FILE``.
    Raises InvalidForm, and InvalidRequest for a field that is given twice.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    parts, stream = _Parts(files), request.stream()
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            {
                "on_part_begin": parts.on_part_begin,
                "on_header_field": parts.on_header_field,
                "on_header_value": parts.on_header_value,
                "on_header_end": parts.on_header_end,
                "on_headers_finished": parts.on_headers_finished,
                "on_part_data": parts.on_part_data,
                "on_part_end": parts.on_part_end,
                "on_end": parts.on_end,
            },
        )
        async for chunk in stream:
            parser.write(chunk)
        parser.finalize()
    except ServiceError:
        await read_past(stream)
        raise
    except FormParserError as error:
        await read_past(stream)
        raise InvalidForm(f"The body is not a form as its Content-Type says: {error}.") from None
    if not parts.is_whole:
        raise InvalidForm("The form is cut off: its last boundary is missing.")
    return _nested(parts.fields)


async def read_past(stream: AsyncGenerator[bytes]) -> None:
    """Read what is left of the body: a client that is cut off while it sends may never see the answer."""
    async for _ in stream:
        pass


def _nested(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for name, value in fields:
        place, key = form, name
        if match := _NESTED.fullmatch(name):
            place, key = form.setdefault(match["name"], {}), match["key"]
        if not isinstance(place, dict) or key in place:
            raise InvalidRequest(f"{name[:100]}: is given more than once.", param=name[:100])
        place[key] = value
    return form
