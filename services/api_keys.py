"""Making, recognising and revoking API keys."""

import hashlib
import hmac
import logging
import re
import secrets
from datetime import timedelta

from models.api_key import ApiKey, ApiKeyCreate
from services.api_key_store import ApiKeyStore
from services.errors import Conflict, NotFound, Unauthenticated
from services.ids import new_ulid
from services.job_store import utc_now

logger = logging.getLogger(__name__)

CHALLENGE = {"WWW-Authenticate": "Bearer"}
_KEY = re.compile(r"t2v_(?P<id>[0-9A-HJKMNP-TV-Z]{26})_[A-Za-z0-9_-]{43}")


def digest_of(key: str) -> str:
    """SHA-256 in hex: enough for keys of 256 random bits, which no dictionary holds."""
    return hashlib.sha256(key.encode()).hexdigest()


def _secret() -> str:
    """256 random bits in 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def new_configured_key() -> str:
    """A key for ``T2V_API_KEYS``."""
    return f"t2v_{_secret()}"


class ApiKeyService:
    """The keys in the database. Each carries its id, so that looking it up says nothing about its secret.

    Args:
        enabled: Whether requests need keys. While they need none, everyone could make a key that opens the
            service later, so none is made, shown or revoked.
    """

    def __init__(self, store: ApiKeyStore, *, enabled: bool) -> None:
        self._store = store
        self._enabled = enabled

    async def create(self, request: ApiKeyCreate, created_by: str) -> tuple[ApiKey, str]:
        """The record, and the key itself, which is kept nowhere."""
        self._require_enabled()
        now, number = utc_now(), new_ulid()
        key = f"t2v_{number}_{_secret()}"
        record = ApiKey(
            id=f"key_{number}",
            name=request.name,
            owner=request.owner,
            scopes=sorted(set(request.scopes)),
            digest=digest_of(key),
            created_at=now,
            created_by=created_by,
            expires_at=None if request.expires_in is None else now + timedelta(seconds=request.expires_in),
        )
        await self._store.insert(record)
        logger.info("%s made %s for %s (%s)", created_by, record.id, record.owner, ", ".join(record.scopes))
        return record, key

    async def page(self, *, limit: int, after: str | None) -> tuple[list[ApiKey], bool]:
        """Newest first, revoked and expired ones too; and whether there are more."""
        self._require_enabled()
        keys = await self._store.list(limit=limit + 1, after=after)
        return keys[:limit], len(keys) > limit

    async def revoke(self, key_id: str, revoked_by: str) -> None:
        """The next request that presents it is refused, whichever process answers. Raises NotFound."""
        self._require_enabled()
        if await self._store.revoke(key_id, utc_now()) is None:
            raise NotFound(f"There is no API key {key_id[:100]!r}.", code="api_key_not_found", param="id")
        logger.info("%s revoked %s", revoked_by, key_id)

    async def recognise(self, key: str) -> ApiKey:
        """The record of a key that is valid now; read from the database each time.

        Raises Unauthenticated: not known, revoked or expired.
        """
        match = _KEY.fullmatch(key)
        record = await self._store.get(f"key_{match['id']}") if match else None
        if record is None or not hmac.compare_digest(record.digest, digest_of(key)):
            raise Unauthenticated("The API key is not known.", headers=CHALLENGE)
        if record.revoked_at is not None:
            raise Unauthenticated("The API key was revoked.", code="api_key_revoked", headers=CHALLENGE)
        if record.is_expired(utc_now()):
            raise Unauthenticated("The API key has expired.", code="api_key_expired", headers=CHALLENGE)
        return record

    def _require_enabled(self) -> None:
        if not self._enabled:
            raise Conflict(
                "API keys are off: set T2V_API_KEYS first (python -m authentication create NAME prints an "
                "entry), then manage further keys with that one.",
                code="api_keys_off",
            )
