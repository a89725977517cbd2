"""Host names, proxies, and who the client is."""

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from app.settings import Settings
from app.trusted_hosts import TrustedHosts
from authentication import create_key
from tests.live_api import live_api

KEY, ENTRY = create_key("alice")


async def answer(hosts: list[str], host: str | None) -> int:
    """The status for a request with this Host header."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    await TrustedHosts(app, hosts)({"type": "http", "headers": headers}, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *[(host, 204) for host in ("localhost", "localhost:8000", "LOCALHOST:1", "localhost.", "127.0.0.1")],
        *[(host, 204) for host in ("127.0.0.1:8000", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:80")],
        *[(host, 204) for host in ("clips.example.org", "Clips.Example.org:443", "a.b.example.net")],
        *[(host, 400) for host in (None, "", ":8000", "evil.example", "example.net", "evilexample.net")],
        *[(host, 400) for host in ("localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]")],
        *[(host, 400) for host in ("evil.example#localhost", "evil@localhost", "é", "128.0.0.1")],
    ],
)
async def test_which_names_are_answered(host: str | None, status: int) -> None:
    assert await answer(["clips.example.org", "*.example.net"], host) == status


async def test_a_page_that_rebinds_its_name_gets_nothing(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        refused = await api.client.get("/jobs", headers={"host": "evil.example"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "untrusted_host")
        assert refused.headers["x-request-id"]
        assert (await api.client.get("/jobs", headers={"host": "localhost:1"})).status_code == 200
    async with live_api(tmp_path, trusted_hosts="clips.example.org") as api:
        link_host = {"host": "clips.example.org"}
        assert (await api.client.get("/jobs", headers=link_host)).status_code == 200


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ["127.0.0.1"]),
        (
            {"host": "localhost", "trusted_hosts": " a.example , *.b.example"},
            ["localhost", "a.example", "*.b.example"],
        ),
        ({"host": "192.0.2.1", "api_keys": ENTRY}, None),
        ({"host": "192.0.2.1", "api_keys": ENTRY, "trusted_hosts": "a.example"}, ["192.0.2.1", "a.example"]),
    ],
)
def test_any_name_will_do_where_keys_are_needed(values: dict[str, str], names: list[str] | None) -> None:
    assert Settings(_env_file=None, **values).answers_to == names  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        {"trusted_hosts": "a.example, https://b.example"},
        {"trusted_hosts": "a.example, b.example:80"},
        {"trusted_hosts": "a.example, *"},
        {"trusted_proxies": "10.0.0.1, *"},
        {"trusted_proxies": "10.0.0.0/8, proxy.example"},
    ],
)
def test_a_spoilt_entry_is_named_by_its_place(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="entry 2"):
        Settings(_env_file=None, **values)  # type: ignore[arg-type]


async def wrong_keys_until_refused(tmp_path: Path, forwarded: list[str], **settings: str) -> list[int]:
    """The statuses of 25 wrong keys, said to come from ``forwarded`` in turn."""
    async with live_api(tmp_path, api_keys=ENTRY, **settings) as api:
        statuses = []
        for number in range(25):
            headers = {"x-api-key": "wrong", "x-forwarded-for": forwarded[number % len(forwarded)]}
            answered = await api.client.get("/jobs", headers=headers)
            statuses.append(answered.status_code)
            if answered.status_code == 429:
                assert answered.json()["error"]["code"] == "too_many_failed_attempts"
                assert 1 <= int(answered.headers["retry-after"]) <= 60
        assert (await api.client.get("/jobs", headers={"x-api-key": KEY})).status_code == 200
        return statuses


async def test_wrong_keys_are_limited_by_client(tmp_path: Path) -> None:
    both = ["10.0.0.1", "10.0.0.2"]
    direct, proxied, spoofed = await asyncio.gather(
        wrong_keys_until_refused(tmp_path / "direct", both),
        wrong_keys_until_refused(tmp_path / "proxied", both, trusted_proxies="127.0.0.0/8"),
        # The client itself wrote all but the last entry.
        wrong_keys_until_refused(
            tmp_path / "spoofed", [f"{a}, 10.0.0.9" for a in both], trusted_proxies="127.0.0.1"
        ),
    )
    assert direct == spoofed == [401] * 20 + [429] * 5
    assert proxied == [401] * 25


async def test_a_link_has_the_scheme_that_a_trusted_proxy_names(tmp_path: Path) -> None:
    forwarded = {"x-forwarded-proto": "https", "host": "clips.example.org"}
    urls = []
    for index, proxies in enumerate(("", "127.0.0.1")):
        folder = tmp_path / str(index)
        async with live_api(folder, trusted_proxies=proxies, trusted_hosts="clips.example.org") as api:
            job = await api.finished()
            answered = await api.client.post(f"/videos/{job['id']}/link", headers=forwarded)
            urls.append(answered.json()["url"].partition(job["id"])[0])
    assert urls == ["http://clips.example.org/videos/", "https://clips.example.org/videos/"]
