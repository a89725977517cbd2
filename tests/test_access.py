"""Every operation of the running service with every kind of key.

The operations come from the application's routes and its OpenAPI document, so that a new one is asked too: it
fails here when it forgets its guard.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from ulid import ULID

from authentication import create_key
from models.api_key import ApiKeyResponse
from models.responses import JobResponse
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/static/page"),
    ("GET", "/static/page/config.json"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("HEAD", "/openapi.json"),
    ("GET", "/static"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
}
"""What needs no key: nothing of any owner is in it."""

UNSUPPORTED = {
    ("POST", "/v1/videos/edits"),
    ("POST", "/v1/videos/extensions"),
    ("POST", "/v1/videos/characters"),
    ("GET", "/v1/videos/characters/{id}"),
}
"""What OpenAI's packages ask for and no model here can do: refused to whoever may come in."""

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/videos"): {"prompt": "a red circle"},
    ("POST", "/v1/videos"): {"prompt": "a red circle"},
    ("POST", "/v1/videos/{id}/remix"): {"prompt": "a blue circle"},
    ("POST", "/keys"): {"name": "another", "owner": "carol"},
}

ROOT, ROOT_ENTRY = create_key("root")


@dataclass(frozen=True)
class Operation:
    method: str
    path: str

    @property
    def scope(self) -> str:
        """The scope that it needs, said here again, apart from the service's own rule."""
        if self.path.startswith(("/keys", "/metrics")):
            return "admin"
        return "read" if self.method in ("GET", "HEAD") else "create"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(app: FastAPI) -> Iterator[Operation]:
    """All that the application answers to, whether or not it is in the document."""
    for route in app.routes:
        # FastAPI keeps an included router as one route.
        included = getattr(route, "effective_route_contexts", None)
        for entry in included() if included else [route]:
            for method in sorted(getattr(entry, "methods", None) or {"GET"}):
                yield Operation(method, entry.path)


def guarded(app: FastAPI) -> list[Operation]:
    return [each for each in operations(app) if (each.method, each.path) not in OPEN]


def answering(app: FastAPI) -> list[Operation]:
    """Those of them that do something."""
    return [each for each in guarded(app) if (each.method, each.path) not in UNSUPPORTED]


class World:
    """A service with keys of each kind, asked from a new address each time: wrong keys are counted."""

    def __init__(self, api: LiveApi) -> None:
        self.api = api
        self._asked = 0
        self.ids: dict[str, str] = {}

    async def request(self, method: str, url: str, key: str | None, body: Any = None) -> httpx2.Response:
        self._asked += 1
        headers = {"x-forwarded-for": f"10.0.{self._asked // 256}.{self._asked % 256}"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return await self.api.client.request(method, url, headers=headers, json=body)

    async def key(self, owner: str, *scopes: str, **fields: Any) -> str:
        body = {"name": "test", "owner": owner, "scopes": list(scopes), **fields}
        answer = await self.request("POST", "/keys", ROOT, body)
        assert answer.status_code == 201, answer.text
        key = str(answer.json()["key"])
        self.ids[key] = answer.json()["id"]
        return key

    async def ask(self, operation: Operation, key: str | None, thing: str) -> httpx2.Response:
        url = operation.path
        for name in re.findall(r"{(\w+)(?::\w+)?}", url):
            assert name in ("id", "name"), f"say in this test what stands for {{{name}}} in {operation}"
            url = re.sub(r"{" + name + r"(?::\w+)?}", "demo" if name == "name" else thing, url)
        return await self.request(operation.method, url, key, BODIES.get((operation.method, operation.path)))

    async def thing(self, operation: Operation, key: str) -> str:
        """The id of what the operation may be about: a finished job of the key's owner, or a key."""
        if operation.path.startswith("/keys"):
            return self.ids[await self.key("alice", "read")]
        job = await self.request("POST", "/videos", key, {"prompt": "a red circle"})

        async def is_finished() -> bool:
            record = await self.request("GET", f"/jobs/{job.json()['id']}", key)
            return bool(record.json()["status"] == "completed")

        await eventually(is_finished)
        return str(job.json()["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("access")
    async with live_api(folder, api_keys=ROOT_ENTRY, trusted_proxies="127.0.0.1") as api:
        yield World(api)


def error_code(answer: httpx2.Response) -> str:
    """The code in the body; HEAD has none."""
    return str(answer.json()["error"]["code"]) if answer.content else ""


async def test_no_operation_answers_without_a_valid_key(world: World) -> None:
    revoked, expired = await world.key("alice", "read"), await world.key("alice", "read", expires_in=1)
    for key in (revoked, expired):
        assert (await world.request("GET", "/models", key)).status_code == 200
    gone = await world.request("DELETE", f"/keys/{world.ids[revoked]}", ROOT)
    assert gone.status_code == 204

    async def has_expired() -> bool:
        return (await world.request("GET", "/models", expired)).status_code == 401

    await eventually(has_expired)
    keys = {
        "missing_api_key": None,
        "invalid_api_key": create_key("alice")[0],
        "api_key_revoked": revoked,
        "api_key_expired": expired,
    }
    thing = await world.thing(Operation("GET", "/jobs/{id}"), ROOT)
    checked = guarded(world.api.app)
    assert len(checked) >= 18
    for operation in checked:
        for code, key in keys.items():
            answer = await world.ask(operation, key, thing)
            assert answer.status_code == 401, (str(operation), code, answer.text)
            assert error_code(answer) in (code, "")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_each_operation_needs_its_scope_and_no_other(world: World) -> None:
    everything = {"create", "read", "admin"}
    full = await world.key("alice", *everything)
    for operation in answering(world.api.app):
        thing = await world.thing(operation, full)
        lacking = await world.key("alice", *(everything - {operation.scope}))
        refused = await world.ask(operation, lacking, thing)
        assert refused.status_code == 403, (str(operation), refused.text)
        assert error_code(refused) in ("missing_scope", "")
        assert f'scope="{operation.scope}"' in refused.headers["www-authenticate"]
        enough = await world.key("alice", operation.scope)
        answer = await world.ask(operation, enough, thing)
        assert answer.status_code < 400 or answer.status_code == 409, (str(operation), answer.text)


async def test_what_is_anothers_is_not_there(world: World) -> None:
    alice, bob = [await world.key(owner, "create", "read") for owner in ("alice", "bob")]
    theirs = await world.thing(Operation("GET", "/jobs/{id}"), alice)
    before = (await world.request("GET", f"/jobs/{theirs}", alice)).json()
    asked = 0
    for operation in answering(world.api.app):
        if operation.scope == "admin":
            continue
        answer = await world.ask(operation, bob, theirs)
        if "{id}" in operation.path:
            asked += 1
            unknown = await world.ask(operation, bob, "video_" + "0" * 26)
            assert answer.status_code == unknown.status_code == 404, str(operation)
            # Nothing tells what is another's from what never was.
            assert answer.text.replace(theirs, "") == unknown.text.replace("video_" + "0" * 26, "")
        else:
            assert theirs not in answer.text, str(operation)
            assert "alice" not in answer.text, str(operation)
    assert asked >= 9
    assert (await world.request("GET", f"/jobs/{theirs}", alice)).json() == before


async def test_the_document_says_what_is_guarded(world: World) -> None:
    document = (await world.request("GET", "/openapi.json", None)).json()
    documented = {
        Operation(method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    known = set(operations(world.api.app))
    assert {each for each in known - documented.keys() if each.method != "HEAD"} == {
        Operation("GET", path)
        for path in ("/", "/docs", "/openapi.json", "/static", "/static/page", "/static/page/config.json")
    } | {Operation(*each) for each in UNSUPPORTED}, "nothing is served that is not documented"
    assert documented.keys() <= known
    for operation, description in documented.items():
        is_guarded = (operation.method, operation.path) not in OPEN
        assert bool(description.get("security")) is is_guarded, str(operation)
        assert ({"401", "403", "429"} <= description["responses"].keys()) is is_guarded, str(operation)


async def test_a_record_shows_its_fields_and_no_other(world: World) -> None:
    full = await world.key("alice", "create", "read", "admin")
    job_id = await world.thing(Operation("GET", "/jobs/{id}"), full)
    record = (await world.request("GET", f"/jobs/{job_id}", full)).json()
    assert record.keys() == JobResponse.model_fields.keys()
    for hidden in ("lease", "write_token", "token", "sort_id", "_id"):
        assert hidden not in record
    for key in (await world.request("GET", "/keys?limit=100", full)).json()["data"]:
        assert key.keys() == ApiKeyResponse.model_fields.keys()
        assert "digest" not in key
    for body in ({"owner": "bob"}, {"status": "completed"}, {"id": "video_x"}, {"lease": {}}):
        refused = await world.request("POST", "/videos", full, {"prompt": "x", **body})
        assert (refused.status_code, error_code(refused)) == (422, "unknown_parameter")


async def test_an_operation_that_forgets_its_guard_is_found(world: World) -> None:
    async def forgotten() -> None:
        return None

    app = world.api.app
    app.add_api_route("/forgotten", forgotten)
    try:
        found = [operation for operation in guarded(app) if operation.path == "/forgotten"]
        assert found == [Operation("GET", "/forgotten")]
        assert (await world.ask(found[0], None, "")).status_code != 401
    finally:
        app.router.routes[:] = [r for r in app.router.routes if getattr(r, "path", "") != "/forgotten"]


async def test_ids_cannot_be_guessed(world: World) -> None:
    """At least 64 bits tell an id from the one before (see test_ids.py); an owner's never names another's."""
    key = await world.key("alice", "create", "read")
    body = {"prompt": "x"}
    answers = await asyncio.gather(*(world.request("POST", "/videos", key, body) for _ in range(16)))
    numbers = sorted(int(ULID.from_str(answer.json()["id"].removeprefix("video_"))) for answer in answers)
    assert all(after - before > 2**32 for before, after in pairwise(numbers))
