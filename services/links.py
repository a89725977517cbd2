"""Expiring links to a clip that need no API key, so that ``<video src>`` works with keys on."""

import hashlib
import hmac
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.errors import PermissionDenied

MAX_EXPIRES_IN = 7 * 24 * 3600


class InvalidSigningKey(RuntimeError):
    """The kept key cannot be used; the message names its file."""


class LinkSigner:
    """Signs and checks (id, expiry) with HMAC-SHA256 (RFC 2104)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, job_id: str, expires_in: int, *, now: datetime | None = None) -> tuple[int, str]:
        """When the link ends, in whole seconds since the epoch, and the signature in hex."""
        expires = int(((now or datetime.now(UTC)) + timedelta(seconds=expires_in)).timestamp())
        return expires, self._signature(job_id, expires)

    def verify(self, job_id: str, expires: int, signature: str, *, now: datetime | None = None) -> None:
        """Raises PermissionDenied when the signature is wrong or the time is over."""
        expected = self._signature(job_id, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise PermissionDenied(
                "The link's signature is not valid.", code="invalid_signature", param="signature"
            )
        if (now or datetime.now(UTC)).timestamp() >= expires:
            raise PermissionDenied(
                "The link has expired: ask for a new one.", code="link_expired", param="expires"
            )

    def _signature(self, job_id: str, expires: int) -> str:
        return hmac.new(self._key, f"video\n{job_id}\n{expires}".encode(), hashlib.sha256).hexdigest()


def load_signing_key(data_dir: Path) -> bytes:
    """The key kept in ``data_dir/signing.key`` (mode 600), drawn at the first call. Processes may race.

    Raises InvalidSigningKey.
    """
    path = data_dir / "signing.key"
    data_dir.mkdir(parents=True, exist_ok=True)
    draft = data_dir / f"signing.key.{secrets.token_hex(8)}"
    try:
        return _read(path)
    except FileNotFoundError:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # A hard link appears whole or not at all, and only the first one wins.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(path)


def _read(path: Path) -> bytes:
    key = path.read_text().strip().encode()
    if len(key) < 32:
        raise InvalidSigningKey(
            f"{path} holds no signing key of at least 32 characters; delete it to have a new one drawn"
        )
    return key
