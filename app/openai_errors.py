"""Statuses of errors under ``/v1``, where OpenAI's SDKs ask.

They retry 408, 409, 429 and all from 500 on, and raise errors of their own for 400 and 404. So nothing there
answers 409, what is unfinished or refused is 400, what is gone is 404, and a full queue is 429 with
``Retry-After``, as every limit; 5xx is left for outages.
"""

from typing import Any

from fastapi import FastAPI

from services.errors import ErrorType

PREFIX = "/v1/"

_STATUSES: dict[int, tuple[int, ErrorType]] = {
    409: (400, "invalid_request_error"),
    410: (404, "not_found_error"),
    422: (400, "invalid_request_error"),
}
_CODES: dict[str, tuple[int, ErrorType]] = {"queue_full": (429, "rate_limit_error")}


def translated(path: str, status: int, error_type: ErrorType, code: str) -> tuple[int, ErrorType]:
    """Status and type of an error at ``path``."""
    if not path.startswith(PREFIX):
        return status, error_type
    return _CODES.get(code) or _STATUSES.get(status, (status, error_type))


def document_translated(app: FastAPI) -> None:
    """Take 422, which FastAPI documents everywhere, from the document's paths that never answer it."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for path, operations in document["paths"].items():
            if path.startswith(PREFIX):
                for operation in operations.values():
                    operation["responses"].pop("422", None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
