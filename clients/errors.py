"""What can go wrong, as one family: ``ClientError``."""

import json
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from clients.records import Job


class ClientError(Exception):
    """Base of all errors of this package."""


class ClientClosed(ClientError):
    """The client was closed before the work was done."""


class ServiceUnreachable(ClientError):
    """No answer came: nothing listens there, the network is away, or the connection broke."""


class UnexpectedAnswer(ClientError):
    """What answered does not speak as the service does; most likely the address is another's."""


class CorruptDownload(ClientError):
    """The file is not the one that the job's record names."""


class ApiError(ClientError):
    """The service refused; its error envelope, ``{"error": {"message", "type", "param", "code"}}``.

    Attributes:
        status: The HTTP status.
        code: A stable machine-readable name.
        type: The family of the error.
        param: The parameter at fault, or None.
        retry_after: Seconds after which the service asks to be tried again, or None.
        request_id: Finds the request in the service's log.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "unknown",
        type: str = "unknown",
        param: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.retry_after = retry_after
        self.request_id = request_id


class InvalidRequest(ApiError):
    """A parameter is missing, unknown or out of its limits; ``param`` names it."""


class Unauthenticated(ApiError):
    """An API key is missing, not known, revoked or expired."""


class PermissionDenied(ApiError):
    """The key lacks the scope."""


class NotFound(ApiError):
    """There is no such thing, or it belongs to somebody else."""


class Conflict(ApiError):
    """The state of things does not allow it."""


class Expired(ApiError):
    """The clip's file is gone; its record is kept."""


class TooManyRequests(ApiError):
    """The caller asks too often."""


class Unavailable(ApiError):
    """The queue is full, or the database is away."""


class ServerError(ApiError):
    """The service failed; its log has the details under ``request_id``."""


class JobFailed(ClientError):
    """The job has failed; ``job.error`` says why."""

    def __init__(self, job: "Job") -> None:
        why = f"{job.error.code}: {job.error.message}" if job.error else "no reason given"
        super().__init__(f"The job {job.id} has failed ({why})")
        self.job = job


class JobCancelled(ClientError):
    """The job was cancelled."""

    def __init__(self, job: "Job") -> None:
        super().__init__(f"The job {job.id} was cancelled")
        self.job = job


class WaitTimeout(ClientError, TimeoutError):
    """The job has not ended in time; it goes on."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    410: Expired,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(response: httpx2.Response) -> ApiError:
    """The error in an answer that has been read. Proxies answer in other shapes, which give a plain one."""
    status = response.status_code
    kind = _BY_STATUS.get(status, InvalidRequest if 400 <= status < 500 else ServerError)
    if status < 400:
        kind = ApiError
    try:
        body = json.loads(response.content)["error"]
        message, code, family, param = body["message"], body["code"], body["type"], body.get("param")
    except (ValueError, KeyError, TypeError):
        message, code, family, param = f"HTTP {status} {response.reason_phrase}", "unknown", "unknown", None
        if location := response.headers.get("location"):
            message += f", to {location}"
    return kind(
        message,
        status=status,
        code=code,
        type=family,
        param=param,
        retry_after=_seconds(response.headers.get("retry-after")),
        request_id=response.headers.get("x-request-id"),
    )


def _seconds(retry_after: str | None) -> float | None:
    """Of a date, the other form that RFC 9110 allows, nothing is made: the service sends seconds."""
    return float(retry_after) if retry_after is not None and retry_after.strip().isdecimal() else None
