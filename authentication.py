"""Who may call the service, and the credentials it uses elsewhere.

``python -m authentication create NAME`` draws an API key; it and its ``T2V_API_KEYS`` entry are printed once.
Such a key may do everything; keys that may do less, expire and can be revoked are made at ``POST /keys``.
"""

import argparse
import hmac
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.api_key import Scope
from services.api_keys import CHALLENGE, ApiKeyService, digest_of, new_configured_key
from services.errors import PermissionDenied, TooManyRequests, Unauthenticated
from services.failed_attempts import FailedAttempts

LOCAL_OWNER = "local"
"""The owner of every job while no API key is configured."""

_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64}):(?P<digest>[0-9a-fA-F]{64})")


class Credentials(BaseSettings):
    """The two outside credentials, from the environment or ``.env``; read when the class is called.

    Attributes:
        auth: Hugging Face token (``HF_TOKEN``) for gated checkpoints, or None.
        mongo: MongoDB connection string (``MONGO_URI``), or None for the embedded server.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    auth: SecretStr | None = Field(None, validation_alias="HF_TOKEN")
    mongo: SecretStr | None = Field(None, validation_alias="MONGO_URI")

    @field_validator("auth", "mongo")
    @classmethod
    def _empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value().strip() else None


@dataclass(frozen=True)
class Principal:
    """Who makes a request, and what they may do.

    ``key_id`` names the key in the database; None for an entry of ``T2V_API_KEYS``, and without keys.
    """

    owner: str
    scopes: frozenset[Scope] = frozenset(Scope)
    key_id: str | None = None

    def require(self, scope: Scope) -> None:
        """Raises PermissionDenied (RFC 6750, section 3.1) when the key lacks ``scope``."""
        if scope not in self.scopes:
            raise PermissionDenied(
                f"This needs an API key with the scope {scope.value!r}; the key has "
                f"{', '.join(sorted(self.scopes))}.",
                code="missing_scope",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope.value}"'},
            )


@dataclass(frozen=True)
class ApiKeys:
    """The keys of ``T2V_API_KEYS``, hashed, and their owners. An owner may have several keys."""

    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ApiKeys":
        """Read ``name:sha256hex,…``. Raises ValueError that names the entry's place, never its content."""
        entries = []
        for place, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
            match = _ENTRY.fullmatch(entry)
            if match is None:
                raise ValueError(
                    f"entry {place} is not name:sha256 with 64 hex digits "
                    "(python -m authentication create NAME prints one)"
                )
            entries.append((match["name"], match["digest"].lower()))
        return cls(tuple(entries))

    @property
    def required(self) -> bool:
        return bool(self.entries)

    def owner_of(self, key: str) -> str | None:
        """The owner of ``key``, or None. Every entry is compared, in constant time."""
        digest, owner = digest_of(key), None
        for name, expected in self.entries:
            if hmac.compare_digest(digest, expected) and owner is None:
                owner = name
        return owner


class Authenticator:
    """Tells who presents a key.

    Keys are on when ``T2V_API_KEYS`` has an entry; without any, everyone is ``local`` and may do everything.
    """

    def __init__(self, configured: ApiKeys, stored: ApiKeyService, failures: FailedAttempts) -> None:
        self._configured = configured
        self._stored = stored
        self._failures = failures

    async def authenticate(self, authorization: str | None, x_api_key: str | None, address: str) -> Principal:
        """Who presents a key in either header, from ``address``.

        A valid key is never refused, however many wrong ones came from its address: others may share it.

        Raises:
            Unauthenticated: no key, or one that is not known, revoked or expired.
            TooManyRequests: the same, too often.
            DatabaseUnavailable: the key is not one of ``T2V_API_KEYS`` and cannot be looked up.
        """
        if not self._configured.required:
            return Principal(LOCAL_OWNER)
        key = _presented_key(authorization, x_api_key)
        if key is None:
            raise Unauthenticated(
                "An API key is needed: send it as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
                code="missing_api_key",
                headers=CHALLENGE,
            )
        if (owner := self._configured.owner_of(key)) is not None:
            return Principal(owner)
        try:
            record = await self._stored.recognise(key)
        except Unauthenticated as error:
            if (seconds := self._failures.record(address)) is None:
                raise
            raise TooManyRequests(
                f"{error.message} Too many wrong API keys came from this address.",
                code="too_many_failed_attempts",
                headers={"Retry-After": str(math.ceil(seconds))},
            ) from None
        return Principal(record.owner, frozenset(record.scopes), record.id)


def _presented_key(authorization: str | None, x_api_key: str | None) -> str | None:
    if authorization:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return value.strip()
    return x_api_key or None


def create_key(name: str) -> tuple[str, str]:
    """A new key and its ``name:sha256`` entry. Raises ValueError for a name that does not fit."""
    key = new_configured_key()
    entry = f"{name}:{digest_of(key)}"
    if not _ENTRY.fullmatch(entry):
        raise ValueError("a name has 1 to 64 letters, digits, dots, dashes or underscores")
    return key, entry


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m authentication", description="Make API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="draw a new key and print it once")
    create.add_argument("name", help="whom the key belongs to; owners see only their own jobs")
    try:
        key, entry = create_key(parser.parse_args(arguments).name)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Key, shown only now:          {key}")
    print(f"Add to T2V_API_KEYS (.env):   {entry}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
