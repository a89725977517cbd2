"""Every error as one envelope: ``{"error": {"message", "type", "param", "code"}}``."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from app.openai_errors import translated
from models.responses import ErrorBody, ErrorEnvelope
from services.errors import ErrorType, ServiceError

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CODES = {"extra_forbidden": "unknown_parameter", "missing": "missing_parameter"}
_SHOWN_PROBLEMS = 5
# More of the request may come that nobody reads.
_CLOSE = {"Connection": "close"}


class BodyTooLarge(HTTPException):
    """Raised while a body is read, where FastAPI lets nothing else pass."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(413)
        self.max_bytes = max_bytes


def add_error_handlers(app: FastAPI) -> None:
    # Starlette's type asks for handlers of any Exception, and calls each with its own kind alone.
    app.add_exception_handler(ServiceError, _service_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _validation_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]


def envelope(
    status: int,
    error_type: ErrorType,
    code: str,
    message: str,
    *,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = ErrorBody(message=message, type=error_type, param=param, code=code)
    return JSONResponse(ErrorEnvelope(error=body).model_dump(), status, headers)


def internal_error() -> JSONResponse:
    """Without details: those are in the log, under the request id."""
    return envelope(500, "server_error", "internal_error", "The service failed; its log has the details.")


def body_too_large(max_bytes: int) -> JSONResponse:
    message = f"The body is larger than {max_bytes // 2**20} MiB."
    return envelope(413, "invalid_request_error", "body_too_large", message, headers=_CLOSE)


def headers_too_large() -> JSONResponse:
    message = "Path, query and headers are together larger than 16 KiB."
    return envelope(431, "invalid_request_error", "headers_too_large", message, headers=_CLOSE)


def request_timeout() -> JSONResponse:
    message = "The request did not arrive in time."
    return envelope(408, "invalid_request_error", "request_timeout", message, headers=_CLOSE)


async def _service_error(request: Request, error: ServiceError) -> Response:
    status, error_type = translated(request.url.path, error.status, error.type, error.code)
    return envelope(status, error_type, error.code, error.message, param=error.param, headers=error.headers)


async def _http_error(request: Request, error: HTTPException) -> Response:
    path, method = request.url.path[:200], request.method
    if isinstance(error, BodyTooLarge):
        return body_too_large(error.max_bytes)
    match error.status_code:
        case 404:
            return envelope(404, "not_found_error", "route_not_found", f"There is nothing at {path}.")
        case 405:
            allowed = ", ".join(_allowed_methods(request))
            message = f"{method} is not offered at {path}; allowed: {allowed}."
            return envelope(
                405, "invalid_request_error", "method_not_allowed", message, headers={"Allow": allowed}
            )
        case 408:
            return request_timeout()
        case status if status < 500:
            return envelope(
                status, "invalid_request_error", "invalid_request", str(error.detail), headers=error.headers
            )
        case _:
            return internal_error()


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    problems = error.errors()
    first = problems[0]
    invalid, error_type = translated(request.url.path, 422, "invalid_request_error", "invalid_value")
    if first["type"] == "json_invalid":
        message = f"The body is not valid JSON: {first['ctx']['error']} at character {first['loc'][-1]}."
        return envelope(400, "invalid_request_error", "invalid_json", message)
    if tuple(first["loc"]) == ("body",):
        if first["type"] != "missing" and not _is_json(request.headers.get("content-type", "")):
            message = "The body must be JSON, sent with Content-Type: application/json."
            return envelope(415, "invalid_request_error", "unsupported_media_type", message)
        return envelope(invalid, error_type, "invalid_body", "The body must be a JSON object.")
    shown = [f"{_param(problem['loc'])}: {_sentence(problem)}" for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > _SHOWN_PROBLEMS:
        shown.append(f"and {len(problems) - _SHOWN_PROBLEMS} more")
    code = _CODES.get(first["type"], "invalid_value")
    return envelope(invalid, error_type, code, "; ".join(shown) + ".", param=_param(first["loc"]))


def _sentence(problem: Mapping[str, Any]) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "there is no such parameter"
        case "missing":
            return "is required"
        case "string_pattern_mismatch" if "$." in problem["ctx"]["pattern"]:
            return "a key may neither begin with $ nor hold dots or NUL characters"
        case "string_pattern_mismatch" if "\\x00" in problem["ctx"]["pattern"]:
            return "must hold text, without NUL characters"
        case "value_error":
            return str(problem["ctx"]["error"])
        case _:
            message = str(problem["msg"])
            return message[:1].lower() + message[1:]


def _param(location: Sequence[int | str]) -> str:
    """``("body", "metadata", "key")`` as ``metadata.key``, without pydantic's mark for a dictionary's key."""
    return ".".join(str(part)[:100] for part in location[1:] if part != "[key]")


def _is_json(content_type: str) -> bool:
    subtype = content_type.partition(";")[0].strip().lower()
    return subtype == "application/json" or subtype.endswith("+json")


def _allowed_methods(request: Request) -> list[str]:
    """Starlette names the methods of the first route of a path alone; several routes may share it."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
