import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.errors import PermissionDenied
from services.links import InvalidSigningKey, LinkSigner, load_signing_key

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNER = LinkSigner(b"k" * 32)


def test_a_link_opens_its_clip_until_it_expires() -> None:
    expires, signature = SIGNER.sign("video_A", 60, now=NOW)
    assert expires == NOW.timestamp() + 60
    SIGNER.verify("video_A", expires, signature, now=NOW + timedelta(seconds=59))
    with pytest.raises(PermissionDenied) as caught:
        SIGNER.verify("video_A", expires, signature, now=NOW + timedelta(seconds=60))
    assert caught.value.code == "link_expired"


def test_a_changed_link_opens_nothing() -> None:
    expires, signature = SIGNER.sign("video_A", 60, now=NOW)
    other_key = LinkSigner(b"o" * 32).sign("video_A", 60, now=NOW)[1]
    changed = [
        ("video_B", expires, signature),
        ("video_A", expires + 1, signature),
        ("video_A", expires, signature[:-1] + "é"),
        ("video_A", expires, ""),
        ("video_A", expires, other_key),
    ]
    for link in changed:
        with pytest.raises(PermissionDenied) as caught:
            SIGNER.verify(*link, now=NOW)
        assert caught.value.code == "invalid_signature"


def test_the_key_is_drawn_once_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_signing_key(folder), range(32)))
    assert keys == {load_signing_key(folder)}
    assert len(keys.pop()) == 64
    assert stat.S_IMODE(os.stat(folder / "signing.key").st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["signing.key"]


def test_a_spoilt_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_text("short\n")
    with pytest.raises(InvalidSigningKey, match=r"signing\.key"):
        load_signing_key(tmp_path)
