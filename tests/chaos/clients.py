"""Clients that create, follow, list, cancel, retry, delete and fetch, and note what they are told."""

import asyncio
import hashlib
import random
import time
from typing import Any

import httpx2

from tests.chaos.ledger import FINAL, Ledger
from tests.chaos.site import Site

OUTSTANDING = 4
ANSWER_SECONDS = 6.0
CANCELLED = 0.1
DELETED = 0.05
"""Shares of the jobs that their owner means to cancel, and to delete once they have ended."""
ACTIONS = {"create": 30, "get": 30, "list": 6, "cancel": 4, "fetch": 14, "retry": 3, "delete": 3}


class Client:
    """One caller in a closed loop: at most ``OUTSTANDING`` jobs of its own wait or run."""

    def __init__(self, number: int, seed: int, site: Site, ledger: Ledger, bodies: "Bodies") -> None:
        self._number = number
        self._dice = random.Random(f"{seed} client {number}")
        self._site = site
        self._ledger = ledger
        self._bodies = bodies
        self._mine: list[str] = []
        self._open: set[str] = set()
        self._to_cancel: set[str] = set()
        self._to_delete: set[str] = set()
        self._retried: set[str] = set()

    async def run(self, enough: asyncio.Event) -> None:
        """Until there is enough; whatever it then waits for, the audit looks at."""
        async with httpx2.AsyncClient(timeout=ANSWER_SECONDS) as self._http:
            while not enough.is_set():
                action = self._dice.choices(list(ACTIONS), list(ACTIONS.values()))[0]
                if action == "create" and len(self._open) >= OUTSTANDING:
                    action = "get"
                await getattr(self, f"_{action}")()
                await asyncio.sleep(self._dice.uniform(0, 0.2))

    async def _create(self) -> None:
        """Sent again under one key until it is answered: one job, however often the service dies."""
        body = self._bodies.draw(self._dice)
        key = {"Idempotency-Key": f"ticket-{body['metadata']['ticket']}"}
        for _ in range(20):
            answer = await self._call("POST", "/videos", json=body, headers=key)
            if answer is not None and answer.status_code == 202:
                self._take(answer.json(), body)
                return

    async def _get(self) -> None:
        if job_id := self._pick(self._open):
            answer = await self._call("GET", f"/jobs/{job_id}")
            if answer is not None and answer.status_code == 200:
                if answer.json()["status"] in FINAL:
                    self._open.discard(job_id)
            elif answer is not None and answer.status_code == 404:
                self._missing(job_id)

    async def _list(self) -> None:
        await self._call("GET", "/jobs", params={"limit": 50})

    async def _cancel(self) -> None:
        if job_id := self._pick(self._open & self._to_cancel):
            answer = await self._call("POST", f"/jobs/{job_id}/cancel")
            if answer is not None and answer.status_code == 200:
                self._ledger.cancelled.add(job_id)

    async def _retry(self) -> None:
        if job_id := self._pick(self._ended("failed", "cancelled") - self._retried):
            answer = await self._call("POST", f"/jobs/{job_id}/retry")
            if answer is not None and answer.status_code == 202:
                self._retried.add(job_id)
                self._take(answer.json(), self._ledger.accepted[job_id])

    async def _delete(self) -> None:
        if job_id := self._pick(self._ended(*FINAL) & self._to_delete):
            self._ledger.perhaps_deleted.add(job_id)
            self._open.discard(job_id)
            answer = await self._call("DELETE", f"/jobs/{job_id}")
            if answer is not None and answer.status_code == 204:
                self._ledger.deleted.add(job_id)

    async def _fetch(self) -> None:
        if not (job_id := self._pick(self._ended("completed"))):
            return
        answer = await self._call("GET", f"/videos/{job_id}")
        if answer is None or answer.status_code == 503:
            return
        if answer.status_code != 200:
            self._ledger.contradict(f"{job_id} is completed, and its clip is {answer.status_code}")
        elif hashlib.sha256(answer.content).hexdigest() != self._ledger.ends[job_id]["video"]["sha256"]:
            self._ledger.contradict(f"{job_id}: the clip is not the one that its record names")

    def _take(self, job: dict[str, Any], body: dict[str, Any]) -> None:
        self._ledger.accept(job, body)
        self._mine.append(job["id"])
        if self._dice.random() < CANCELLED:
            self._to_cancel.add(job["id"])
        if self._dice.random() < DELETED:
            self._to_delete.add(job["id"])
        self._open.add(job["id"])

    def _missing(self, job_id: str) -> None:
        self._open.discard(job_id)
        self._ledger.contradict(f"{job_id} was accepted and is 404")

    def _ended(self, *statuses: str) -> set[str]:
        ends = self._ledger.ends
        gone = self._ledger.perhaps_deleted
        return {
            job_id
            for job_id in self._mine[-50:]
            if job_id in ends and ends[job_id]["status"] in statuses and job_id not in gone
        }

    def _pick(self, job_ids: set[str]) -> str | None:
        return self._dice.choice(sorted(job_ids)) if job_ids else None

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx2.Response | None:
        """The answer, noted; None when there was none."""
        began = time.monotonic()
        try:
            answer = await self._http.request(method, self._dice.choice(self._site.urls) + path, **arguments)
        except httpx2.TransportError as error:
            self._ledger.answers[type(error).__name__] += 1
            await asyncio.sleep(self._dice.uniform(0.1, 0.5))
            return None
        now = time.monotonic()
        self._ledger.answers[str(answer.status_code)] += 1
        assert answer.status_code != 422, f"a request of the run's own is refused: {answer.text}"
        if answer.status_code >= 500 and answer.status_code != 503:
            self._ledger.contradict(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        elif answer.status_code < 300 and answer.headers.get("content-type", "").startswith(
            "application/json"
        ):
            said = answer.json()
            for job in said.get("data", [said]):
                self._ledger.observe(job, began, now)
        return answer


class Bodies:
    """Requests, each with a ticket of its own."""

    def __init__(self, size: dict[str, Any], prompts: list[str]) -> None:
        self._size = size
        self._prompts = prompts
        self.drawn = 0

    def draw(self, dice: random.Random) -> dict[str, Any]:
        self.drawn += 1
        steps = dice.randint(1, 4)
        return {
            "prompt": dice.choice(self._prompts),
            "num_inference_steps": steps,
            "seed": dice.randrange(2**31),
            "metadata": {"ticket": str(self.drawn)},
            **self._size,
        }
