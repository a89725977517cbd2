"""API keys: the MongoDB document, and what is asked and answered about them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_EXPIRES_IN = 10 * 365 * 24 * 3600

KeyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""Names of keys and of their owners."""


class Scope(StrEnum):
    """What a key may do. None of them contains another."""

    CREATE = "create"
    """Make, cancel, retry and delete the owner's jobs, and make links to them."""
    READ = "read"
    """See the owner's jobs and clips, and the catalogue."""
    ADMIN = "admin"
    """Manage keys, see metrics."""


class ApiKey(BaseModel):
    """A key as it is stored: only the SHA-256 of its secret, from which nobody makes the key again."""

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    id: str = Field(alias="_id")
    name: str
    owner: str
    scopes: list[Scope]
    digest: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def to_document(self) -> dict[str, Any]:
        """As MongoDB stores it. What is None is left out: the embedded server matches null loosely."""
        document = self.model_dump(by_alias=True, exclude_none=True)
        return document | {"scopes": [scope.value for scope in self.scopes]}


class ApiKeyCreate(BaseModel):
    """A request for a new key."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "laptop", "owner": "alice", "scopes": ["create", "read"]}],
        },
    )

    name: KeyName = Field(description="Tells the owner's keys apart.")
    owner: KeyName = Field(description="Whose jobs it makes and sees.")
    scopes: list[Scope] = Field(
        [Scope.CREATE, Scope.READ],
        min_length=1,
        max_length=len(Scope),
        description="`create`, `read`, `admin`; none of them contains another.",
    )
    expires_in: int | None = Field(
        None, ge=1, le=MAX_EXPIRES_IN, description="Seconds until it ends; without it the key has no end."
    )


class ApiKeyResponse(BaseModel):
    """A key as an administrator sees it: never the key itself."""

    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    owner: str
    scopes: list[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiKeyCreated(ApiKeyResponse):
    key: str = Field(description="The key itself, shown only in this answer.")


class ApiKeyList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ApiKeyResponse]
    first_id: str | None
    last_id: str | None
    has_more: bool
