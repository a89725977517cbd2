"""Webhooks: where a job's end is told, the MongoDB document of a delivery, and what is shown of it."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_URL_CHARS = 2048
KEPT_ATTEMPTS = 20

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<address>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][!-\"$-~]*)?",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"[^/?#]*//[^/?#]*@")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_HOST_CHARS = 253


@dataclass(frozen=True)
class Endpoint:
    """A webhook's URL in its parts. ``host`` is a name, or a literal address without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Raises ValueError that says what is wrong, without repeating the URL, which may hold a secret."""
        if _CREDENTIALS.match(url):
            raise ValueError("must not hold a user name or password")
        if not url.isascii():
            raise ValueError("must be ASCII: the host in its xn-- form, the rest percent-encoded")
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(
                "must be an http or https URL without a fragment, as in https://example.com/hook"
            )
        if match["address"] and not _is_address(match["address"]):
            raise ValueError("its host is not an IPv6 address")
        scheme = match["scheme"].lower()
        host = (match["address"] or match["name"]).lower().removesuffix(".")
        if len(host) > _MAX_HOST_CHARS:
            raise ValueError(f"its host must have at most {_MAX_HOST_CHARS} characters")
        port = int(match["port"] or _DEFAULT_PORTS[scheme])
        if port not in _DEFAULT_PORTS.values() and not 1024 <= port <= 65535:
            raise ValueError("its port must be 80, 443 or from 1024 to 65535")
        target = match["target"] or "/"
        return cls(scheme, host, port, target if target.startswith("/") else f"/{target}")

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return _bracketed(self.host) if default else f"{_bracketed(self.host)}:{self.port}"

    def url_at(self, address: str) -> str:
        """The URL with an address in the place of its host."""
        return f"{self.scheme}://{_bracketed(address)}:{self.port}{self.target}"


def _is_address(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _checked(url: str) -> str:
    Endpoint.parse(url)
    return url


WebhookUrl = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_URL_CHARS), AfterValidator(_checked)
]


class WebhookTarget(StrEnum):
    """Whose address an event goes to."""

    JOB = "job"
    """The job's own ``webhook_url``."""
    SERVICE = "service"
    """The operator's, for all jobs."""


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryAttempt(BaseModel):
    """One request: what was answered, or why nothing was."""

    at: datetime
    seconds: float
    status_code: int | None = None
    error: str | None = None


class WebhookDelivery(BaseModel):
    """The event of a job's end, on its way to one address.

    ``due_ms`` is the time of the next attempt in milliseconds since the epoch, or, while one is under way,
    the time from which it counts as lost; None once the delivery has ended. ``attempt`` counts since the
    delivery was last asked for. ``url`` is None for the service's own address, which the settings hold.
    """

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    id: str = Field(alias="_id")
    job_id: str
    owner: str
    target: WebhookTarget
    url: str | None = None
    event: str
    created_at: datetime
    expires_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    due_ms: int | None = None
    is_sending: bool = False
    attempt: int = 0
    attempts: list[DeliveryAttempt] = Field(default_factory=list)
    error: str | None = None
    ended_at: datetime | None = None
    write_token: str = ""

    @property
    def event_id(self) -> str:
        """The same for every attempt and target, so that a receiver knows repeats."""
        return f"evt_{self.job_id.removeprefix('video_')}"

    def to_document(self) -> dict[str, Any]:
        """As MongoDB stores it. What is None is left out: the embedded server matches null loosely."""
        document = self.model_dump(by_alias=True, exclude_none=True)
        return document | {"target": self.target.value, "status": self.status.value}


class EventData(BaseModel):
    id: str = Field(description="The job's id.")


class WebhookEvent(BaseModel):
    """What a receiver gets, as the body of a signed POST."""

    id: str = Field(description="The same whenever the event is sent again.")
    object: Literal["event"] = "event"
    type: str = Field(description="`video.completed`, `video.failed` or `video.cancelled`.")
    created_at: int = Field(description="When the job ended, in seconds since 1970.")
    data: EventData


class DeliveryResponse(BaseModel):
    """A delivery as the job's owner sees it."""

    object: Literal["webhook.delivery"] = "webhook.delivery"
    id: str
    event_id: str = Field(description="The `webhook-id` header and the event's `id`.")
    event: str = Field(description="The event's `type`.")
    target: WebhookTarget = Field(
        description="`job` for the job's own `webhook_url`, `service` for the operator's."
    )
    url: str | None = Field(None, description="The operator's is not shown.")
    status: DeliveryStatus
    attempts: list[DeliveryAttempt] = Field(description=f"The last {KEPT_ATTEMPTS}, oldest first.")
    next_attempt_at: datetime | None = Field(None, description="Only while pending.")
    error: str | None = Field(None, description="Why it was given up.")
    created_at: datetime = Field(description="When the job ended.")
    ended_at: datetime | None = None


class DeliveryList(BaseModel):
    object: Literal["list"] = "list"
    data: list[DeliveryResponse]
