"""Every error is one envelope, whatever a caller sends."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from models.responses import ErrorEnvelope
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("errors")) as api:
        yield api


async def refused(api: LiveApi, content: bytes, headers: dict[str, str] = JSON) -> tuple[int, dict[str, Any]]:
    answer = await api.client.post("/videos", content=content, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    return answer.status_code, ErrorEnvelope.model_validate(answer.json(), extra="forbid").error.model_dump()


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "prompt", "missing_parameter"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": " \n"}, "prompt", "invalid_value"),
        ({"prompt": 7}, "prompt", "invalid_value"),
        ({"prompt": "a\0b"}, "prompt", "invalid_value"),
        ({"prompt": "\ud800"}, "prompt", "invalid_value"),
        ({"prompt": "x" * 4001}, "prompt", "invalid_value"),
        ({"prompt": "x", "negative_prompt": "\0"}, "negative_prompt", "invalid_value"),
        ({"prompt": "x", "size": "big"}, "size", "unknown_parameter"),
        ({"prompt": "x", "metadata": {"\ud800": ""}}, "metadata.\ufffd\ufffd\ufffd", "invalid_value"),
        ({"prompt": "x", "width": 64.5}, "width", "invalid_value"),
        ({"prompt": "x", "width": 10**300}, "width", "invalid_value"),
        ({"prompt": "x", "width": -(10**300)}, "width", "invalid_value"),
        ({"prompt": "x", "seed": -1}, "seed", "invalid_value"),
        ({"prompt": "x", "seed": 2**32}, "seed", "invalid_value"),
        ({"prompt": "x", "guidance_scale": float("nan")}, "guidance_scale", "invalid_value"),
        ({"prompt": "x", "guidance_scale": float("inf")}, "guidance_scale", "invalid_value"),
        ({"prompt": "x", "guidance_scale": 10**400}, "guidance_scale", "invalid_value"),
        ({"prompt": "x", "model": "\0"}, "model", "model_not_found"),
        ({"prompt": "x", "model": "sora"}, "model", "model_not_found"),
        ({"prompt": "x", "model": "/etc"}, "model", "model_not_found"),
        ({"prompt": "x", "model": "../checkpoints/demo"}, "model", "model_not_found"),
        ({"prompt": "x", "model": "https://evil.example/model"}, "model", "model_not_found"),
        ({"prompt": "x", "model": "someone/on-the-hub"}, "model", "model_not_found"),
        ({"prompt": "x", "metadata": {"key": 1}}, "metadata.key", "invalid_value"),
        ({"prompt": "x", "metadata": {"key": "v" * 513}}, "metadata.key", "invalid_value"),
        ({"prompt": "x", "metadata": {"$set": "v"}}, "metadata.$set", "invalid_value"),
        ({"prompt": "x", "metadata": {"a.b": "v"}}, "metadata.a.b", "invalid_value"),
        ({"prompt": "x", "metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode() if isinstance(value, dict) else "",
)
async def test_a_field_that_does_not_fit(api: LiveApi, body: dict[str, Any], param: str, code: str) -> None:
    status, error = await refused(api, json.dumps(body).encode())
    assert status == 422
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(param)


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", JSON, 422, "invalid_body"),
        (b"{", JSON, 400, "invalid_json"),
        (b"\xff\xfe", JSON, 400, "invalid_json"),
        (b'{"prompt": "x", "width": ' + b"9" * 5000 + b"}", JSON, 400, "invalid_request"),
        (b"[" * 100_000, JSON, 400, "invalid_request"),
        (b"[]", JSON, 422, "invalid_body"),
        (b'"x"', JSON, 422, "invalid_body"),
        (b"null", JSON, 422, "invalid_body"),
        (rb'{"prompt": "x", "\ud800": 1}', JSON, 422, "invalid_body"),
        (b'{"prompt": "\xff"}', JSON, 400, "invalid_request"),
        (b"prompt=x", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (b'{"prompt": "x"}', {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"prompt": "x"}', {}, 415, "unsupported_media_type"),
        (b'{"prompt": "' + b"x" * 2**20 + b'"}', JSON, 413, "body_too_large"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)
async def test_a_body_that_cannot_be_read(
    api: LiveApi, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answered, error = await refused(api, content, headers)
    assert (answered, error["code"]) == (status, code), error


async def test_a_large_body_without_a_length_is_refused_too(api: LiveApi) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 2**15

    answer = await api.client.post("/videos", content=chunks(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_several_problems_are_all_named(api: LiveApi) -> None:
    _, error = await refused(api, b'{"prompt": "x", "fps": 0, "width": 0, "nonsense": 1}')
    for name in ("fps", "width", "nonsense"):
        assert f"{name}: " in error["message"]


async def test_an_unknown_route(api: LiveApi) -> None:
    for path in ("/nothing", "/jobs/", "/jobs//cancel", "/%00"):
        answer = await api.client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "route_not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/videos", {"GET", "POST"}),
        ("DELETE", "/videos/x", {"GET", "HEAD"}),
        ("PATCH", "/jobs/x", {"GET", "DELETE"}),
        ("GET", "/jobs/x/cancel", {"POST"}),
        ("POST", "/models", {"GET"}),
    ],
)
async def test_a_method_that_is_not_offered(api: LiveApi, method: str, path: str, allowed: set[str]) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_a_bug_tells_nothing_but_its_request_id(api: LiveApi, caplog: pytest.LogCaptureFixture) -> None:
    async def buggy() -> None:
        raise RuntimeError("password=hunter2")

    api.app.add_api_route("/bug", buggy)
    answer = await api.client.get("/bug", headers={"x-request-id": "bug-1"})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "hunter2" not in answer.text
    assert answer.headers["x-request-id"] == "bug-1"
    assert "hunter2" in caplog.text


async def test_a_database_that_is_away(tmp_path: Path) -> None:
    """The embedded server is stopped with SIGSTOP: connected, and silent."""
    async with live_api(tmp_path) as api:
        servers = [
            child
            for child in psutil.Process().children(recursive=True)
            if "nx_27017" in " ".join(child.cmdline()) and str(tmp_path) in " ".join(child.cmdline())
        ]
        for server in servers:
            server.suspend()
        try:
            for path in ("/jobs", "/jobs/x", "/videos/x"):
                answer = await api.client.get(path)
                assert answer.status_code == 503, path
                assert answer.json()["error"]["code"] == "database_unavailable"
                assert int(answer.headers["retry-after"]) > 0
            ready = await api.client.get("/health/ready")
            assert ready.status_code == 503
            assert ready.json()["checks"]["database"] != "ok"
            assert (await api.client.get("/health/live")).status_code == 200
        finally:
            for server in servers:
                server.resume()

        async def is_back() -> bool:
            return (await api.client.get("/jobs")).status_code == 200

        await eventually(is_back, 30)
