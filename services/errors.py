"""The one error family that every layer raises and one handler renders."""

from collections.abc import Mapping
from typing import Literal

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "rate_limit_error",
    "server_error",
]


class ServiceError(Exception):
    """Base of all errors that may reach a caller.

    Attributes:
        status: HTTP status that fits the error.
        type: The family, as in the error envelope.
        code: A stable machine-readable name.
        message: What happened and what to do, for a person.
        param: The request field at fault, or None.
        headers: Extra response headers (``Retry-After``, ``Allow``, …).
    """

    status: int = 500
    type: ErrorType = "server_error"
    code: str = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        if code is not None:
            self.code = code


class InvalidRequest(ServiceError):
    status, type, code = 422, "invalid_request_error", "invalid_value"


class Unauthenticated(ServiceError):
    status, type, code = 401, "authentication_error", "invalid_api_key"


class PermissionDenied(ServiceError):
    status, type, code = 403, "permission_error", "permission_denied"


class NotFound(ServiceError):
    status, type, code = 404, "not_found_error", "not_found"


class Conflict(ServiceError):
    status, type, code = 409, "conflict_error", "conflict"


class Expired(ServiceError):
    status, type, code = 410, "not_found_error", "expired"


class TooManyRequests(ServiceError):
    """One caller asks too often; carries ``Retry-After``."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class Unavailable(ServiceError):
    """Backpressure or an outage; carries ``Retry-After``."""

    status, type, code = 503, "server_error", "unavailable"
