"""Rates, queue limits, priorities, open answers and idempotency keys, as callers meet them."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from authentication import create_key
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

CALLERS = 50


@dataclass
class Caller:
    """One owner, with a key."""

    client: httpx2.AsyncClient
    key: str

    async def post(self, path: str = "/videos", **body: Any) -> httpx2.Response:
        return await self.client.post(path, json=body, headers={"x-api-key": self.key})

    async def create(self, prompt: str = "x", **body: Any) -> dict[str, Any]:
        answer = await self.post(prompt=prompt, **body)
        assert answer.status_code == 202, answer.text
        return cast(dict[str, Any], answer.json())

    async def job(self, job_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{job_id}", headers={"x-api-key": self.key})
        return cast(dict[str, Any], answer.json())

    async def until(self, job_id: str, status: str) -> None:
        async def there() -> bool:
            return bool((await self.job(job_id))["status"] == status)

        await eventually(there, 30, f"{job_id} did not become {status}")


async def refusal(api: LiveApi, status: int, **body: Any) -> tuple[dict[str, Any], httpx2.Headers]:
    answer = await api.client.post("/videos", json={"prompt": "x"} | body)
    assert answer.status_code == status, answer.text
    return answer.json()["error"], answer.headers


async def test_a_rate_is_said_and_kept(tmp_path: Path) -> None:
    async with live_api(tmp_path, rate_limit="2/minute") as api:
        first = await api.client.post("/videos", json={"prompt": "x"})
        assert first.headers["ratelimit-policy"] == '"create";q=2;w=60'
        assert first.headers["ratelimit"].startswith('"create";r=1;t=')
        _, headers = await refusal(api, 422, prompt="")
        assert headers["ratelimit"].startswith('"create";r=0;t=')
        error, headers = await refusal(api, 429)
        assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
        assert 0 < int(headers["retry-after"]) <= 60
        assert headers["ratelimit"].startswith('"create";r=0;t=')
        await api.until(first.json()["id"], "completed")  # reading is not limited
        assert (await api.client.post(f"/jobs/{first.json()['id']}/retry")).status_code == 429


async def test_an_owner_may_have_so_many_waiting(tmp_path: Path) -> None:
    async with live_api(tmp_path, max_queued=5, max_queued_per_owner=2) as api:
        running = await api.waiting()
        for _ in range(2):
            await api.create()
        error, headers = await refusal(api, 429)
        assert error["code"] == "owner_queue_full"
        assert int(headers["retry-after"]) > 0
        await api.cancel(running["id"])


async def test_owners_take_turns_and_positions_say_so(tmp_path: Path) -> None:
    keys = {name: create_key(name) for name in ("alice", "bob")}
    entries = ",".join(entry for _, entry in keys.values())
    async with live_api(tmp_path, api_keys=entries) as api:
        alice, bob = (Caller(api.client, key) for key, _ in keys.values())
        door = tmp_path / "door"
        running = await alice.create(f"wait {door}")
        await alice.until(running["id"], "in_progress")
        alices = [await alice.create() for _ in range(5)]
        assert [job["queue_position"] for job in alices] == [0, 1, 2, 3, 4]
        bobs = await bob.create()
        assert bobs["queue_position"] == 0
        urgent = await alice.create(priority=1)
        assert (urgent["priority"], urgent["queue_position"]) == (1, 0)
        patient = await bob.create(priority=-1)
        assert patient["queue_position"] == 7
        assert (await alice.job(alices[0]["id"]))["queue_position"] == 2
        door.touch()
        await bob.until(patient["id"], "completed")
        ended = [await alice.job(job["id"]) for job in [urgent, *alices]]
        ended += [await bob.job(job["id"]) for job in (bobs, patient)]
        order = [job["id"] for job in sorted(ended, key=lambda job: str(job["started_at"]))]
        assert order == [job["id"] for job in (urgent, bobs, *alices, patient)]


async def test_going_before_everyone_needs_a_scope(tmp_path: Path) -> None:
    root, entry = create_key("root")
    async with live_api(tmp_path, api_keys=entry) as api:
        made = await Caller(api.client, root).post("/keys", name="laptop", owner="alice")
        alice = Caller(api.client, made.json()["key"])
        refused = await alice.post(prompt="x", priority=1)
        assert (refused.status_code, refused.json()["error"]["param"]) == (403, "priority")
        job = await Caller(api.client, root).create("refuse out_of_memory", priority=2)
        await Caller(api.client, root).until(job["id"], "failed")
        again = await Caller(api.client, root).post(f"/jobs/{job['id']}/retry")
        assert again.json()["priority"] == 0
        await alice.create(priority=-2)


async def test_streams_and_held_answers_have_a_limit(tmp_path: Path) -> None:
    async with live_api(tmp_path, max_streams_per_owner=2) as api:
        job = await api.waiting()
        path = f"/jobs/{job['id']}/events"
        async with AsyncExitStack() as stack:
            for _ in range(2):
                stream = await stack.enter_async_context(api.client.stream("GET", path))
                lines = await stack.enter_async_context(aclosing(stream.aiter_lines()))
                await anext(lines)
            refused = await api.client.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
            answer = await api.client.post("/videos", json={"prompt": "x"}, headers={"prefer": "wait=20"})
            assert answer.status_code == 202
            assert "preference-applied" not in answer.headers
        await eventually(lambda: api.state["open_answers"].count("local") == 0)
        await api.cancel(job["id"])
        assert (await api.client.get(path)).status_code == 200
        missing = await api.client.get("/jobs/video_00000000000000000000000000/events")
        assert missing.status_code == 404
        assert api.state["open_answers"].count("local") == 0


async def test_of_fifty_equal_requests_one_makes_the_job_and_a_restart_remembers_it(
    tmp_path: Path, mongo_uri: str, database_name: str, request: pytest.FixtureRequest
) -> None:
    embedded = request.node.callspec.params["mongo_uri"] == "nx-27017"
    headers = {"idempotency-key": "the same"}
    settings: dict[str, Any] = {"mongo": None if embedded else mongo_uri, "database": database_name}

    async def post(api: LiveApi, prompt: str) -> httpx2.Response:
        return await api.client.post("/videos", json={"prompt": prompt}, headers=headers)

    async with live_api(tmp_path, **settings) as api:
        answers = await asyncio.gather(*[post(api, "at once") for _ in range(CALLERS)])
        assert {answer.status_code for answer in answers} == {202}
        assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
        (job_id,) = {answer.json()["id"] for answer in answers}
        await api.until(job_id, "completed")
    async with live_api(tmp_path, **settings) as api:
        again = await asyncio.gather(*[post(api, "at once") for _ in range(CALLERS)])
        assert {(answer.status_code, answer.json()["id"]) for answer in again} == {(202, job_id)}
        assert all(answer.headers["idempotency-replayed"] == "true" for answer in again)
        assert len((await api.client.get("/jobs")).json()["data"]) == 1
        assert (await post(api, "another")).json()["error"]["code"] == "idempotency_key_reused"
        await api.state["database"].motor.client.drop_database(database_name)
