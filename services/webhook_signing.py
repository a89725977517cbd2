"""Signatures as the Standard Webhooks specification has them (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The keys of comma-separated ``whsec_`` + base64 entries.

    Raises ValueError that names the entry's place, never its content.
    """
    secrets = []
    for place, entry in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        try:
            secret = base64.b64decode(entry.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            secret = b""
        if not entry.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
            raise ValueError(
                f"entry {place} is not {PREFIX} and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in base64 "
                f'(echo "{PREFIX}$(openssl rand -base64 32)" makes one)'
            )
        secrets.append(secret)
    return tuple(secrets)


def signed_headers(event_id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The three headers: HMAC-SHA256 over ``id.timestamp.body``, one signature for each secret.

    ``timestamp`` is in seconds since 1970, of this attempt: receivers refuse what is minutes old.
    """
    content = b".".join((event_id.encode(), str(timestamp).encode(), body))
    digests = (hmac.digest(secret, content, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }
