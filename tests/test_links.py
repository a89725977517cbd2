import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from authentication import create_key
from services.errors import PermissionDenied
from services.links import InvalidSigningKey, LinkSigner, load_signing_key
from tests.live_api import live_api

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


async def test_a_link_opens_one_clip_for_a_time_and_nothing_else(tmp_path: Path) -> None:
    key, entry = create_key("alice")
    async with live_api(tmp_path, api_keys=entry) as api:
        with_key = {"authorization": f"Bearer {key}"}
        api.client.headers.update(with_key)
        job, other = await api.finished(), await api.finished()
        link = (await api.client.post(f"/videos/{job['id']}/link?expires_in=60")).json()["url"]
        query = dict(httpx2.URL(link).params)
        lapsed = api.state["links"].sign(job["id"], -1)
        del api.client.headers["authorization"]

        async def status(method: str, path: str, parameters: dict[str, str]) -> int:
            return (await api.client.request(method, path, params=parameters)).status_code

        clip, signature = f"/videos/{job['id']}", query["signature"]
        for method, path in (("GET", clip), ("HEAD", clip), ("GET", f"{clip}/thumbnail")):
            assert await status(method, path, query) == 200
            for changed in (
                {"expires": str(int(query["expires"]) + 1)},
                {"expires": "0"},
                {"signature": signature[:-1] + ("0" if signature[-1] != "0" else "1")},
                {"signature": signature[:-1]},
                {"signature": signature + "0"},
                {"signature": signature.upper()},
                {"signature": ""},
                {"expires": str(lapsed[0]), "signature": lapsed[1]},
            ):
                assert await status(method, path, query | changed) == 403, (path, changed)
            for missing in ("expires", "signature"):
                rest = {name: value for name, value in query.items() if name != missing}
                assert await status(method, path, rest) == 422
            assert await status(method, path.replace(job["id"], other["id"]), query) == 403
        for method, path in (
            ("POST", f"{clip}/link"),
            ("GET", f"/jobs/{job['id']}"),
            ("GET", f"/jobs/{job['id']}/events"),
            ("DELETE", f"/jobs/{job['id']}"),
            ("POST", f"/jobs/{job['id']}/cancel"),
            ("POST", f"/jobs/{job['id']}/retry"),
            ("GET", "/videos"),
        ):
            assert await status(method, path, query) == 401, path
        assert await status("DELETE", clip, query) == 405
        deleted = await api.client.delete(f"/jobs/{job['id']}", headers=with_key)
        assert deleted.status_code == 204
        assert await status("GET", clip, query) == 404
