"""Kills and pauses processes at random, and at each named point in turn."""

import asyncio
import os
import random
import signal
from collections import Counter
from contextlib import suppress

from tests.chaos.points import POINTS, WORKER_POINTS, Armed
from tests.chaos.site import Child, Site
from tests.waiting import eventually


def actions(point: str) -> tuple[str, ...]:
    return ("kill", "kill-service", "stop") if point in WORKER_POINTS else ("kill", "stop")


EVERY_POINT = tuple((point, action) for point in POINTS for action in actions(point))
POINT_SECONDS = 6.0
POINT_TRIES = 4
UP_SECONDS = 180.0
AT_WORK = 0.8
"""The share of faults that meet a service that is ready; the others meet it wherever it is, starting too."""
FAULTS = {"worker": 40, "service": 18, "database": 18, "both": 4, "pause": 8, "point": 12}


class Monkey:
    """Faults of one stage.

    Attributes:
        kills: SIGKILLs, by what they hit.
        pauses: SIGSTOPs of a service that lasted longer than its lease.
        points: How often a process died or stood still at each named point.
        unreached: Points that nobody passed while they were armed.
    """

    def __init__(self, seed: str, site: Site, lease_seconds: float) -> None:
        self.kills: Counter[str] = Counter()
        self.pauses = 0
        self.points: Counter[str] = Counter()
        self.unreached: Counter[str] = Counter()
        self._dice = random.Random(f"{seed} monkey")
        self._site = site
        self._lease_seconds = lease_seconds
        self._plan = list(EVERY_POINT)
        self._dice.shuffle(self._plan)
        self._next_point = 0
        self._paused: set[asyncio.Task[None]] = set()

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    async def run(self, *, kills: int, pauses: int, points: int, pause_seconds: float) -> None:
        """Until so many kills, pauses and faults at named points are done.

        ``pause_seconds``: the mean time between two faults.
        """
        while not self._enough(kills, pauses, points):
            await asyncio.sleep(self._dice.expovariate(1 / pause_seconds))
            fault = self._dice.choices(list(FAULTS), list(FAULTS.values()))[0]
            if self.killed >= kills and fault not in ("pause", "point"):
                fault = "point" if self._next_point < points else "pause"
            if self._dice.random() < AT_WORK or fault in ("pause", "point"):
                await self._site.answers(UP_SECONDS)
            await getattr(self, f"_{fault}")()
        if self._paused:
            await asyncio.wait(self._paused)

    def _enough(self, kills: int, pauses: int, points: int) -> bool:
        paused = self.pauses + len(self._paused)
        return self.killed >= kills and paused >= pauses and self._next_point >= points

    async def _worker(self) -> None:
        self._kill("worker", self._any(self._site.workers()))

    async def _database(self) -> None:
        self._kill("database", self._any(self._site.databases()))

    async def _service(self) -> None:
        self._kill("service", self._dice.choice(self._site.services).pid)

    async def _both(self) -> None:
        for service in self._site.services:
            self._kill("service", service.pid)

    async def _pause(self) -> None:
        service = self._dice.choice(self._site.services)
        if service.pid is not None:
            os.kill(service.pid, signal.SIGSTOP)
            self._resume_later(service.pid)

    async def _point(self) -> None:
        """Make a process die or stand still at the next point of the plan."""
        point, action = self._plan[self._next_point % len(self._plan)]
        self._next_point += 1
        armed = Armed(self._site.points, point, action)
        pid: int | None = None
        for _ in range(POINT_TRIES):
            if point.endswith("recovery"):  # there has to be something to recover
                await self._site.answers(UP_SECONDS)
                await self._service()
            with suppress(AssertionError):
                pid = await eventually(armed.taken_by, POINT_SECONDS)
                break
        else:
            armed.disarm()
            pid = armed.taken_by()
        if pid is None:
            self.unreached[f"{point} {action}"] += 1
            return
        self.points[point] += 1
        if action == "stop":
            self._resume_later(pid)
        else:
            self.kills["worker" if point in WORKER_POINTS and action == "kill" else "service"] += 1

    def _kill(self, kind: str, pid: int | None) -> None:
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills[kind] += 1

    def _resume_later(self, pid: int) -> None:
        task = asyncio.create_task(self._resume(pid, self._lease_seconds * self._dice.uniform(1.2, 2.5)))
        self._paused.add(task)
        task.add_done_callback(self._paused.discard)

    async def _resume(self, pid: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        # One that was killed in between was no pause.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            self.pauses += 1

    def _any(self, pids: list[int]) -> int | None:
        return self._dice.choice(sorted(pids)) if pids else None


def resume_all(services: list[Child]) -> None:
    for service in services:
        if service.pid is not None:
            os.kill(service.pid, signal.SIGCONT)
