"""The turns of waiting jobs: every query for what ``services.fair_queue`` calls by that name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo import DESCENDING

from models.job import Job, JobStatus
from services.database_errors import reachable, until_certain
from services.fair_queue import clock_id, place, seat, seats_of, turn_of
from services.job_queries import equal
from services.mongo import Database


class Turns:
    """Gives turns to new jobs. Any operation may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._jobs = database.collection("jobs")
        self._clocks = database.collection("clocks")
        self._claimed: dict[int, int] = {}
        self._in_flight: dict[tuple[str, int], set[int]] = {}

    @asynccontextmanager
    async def next(self, job: Job) -> AsyncIterator[Job]:
        """The job at the end of its owner's line; the turn is not given to another while the block runs.

        Another process may give it at the same time: the seat is unique, and who comes second asks again.
        """
        line = (job.owner, job.priority)
        claimed, (waiting, is_running) = await asyncio.gather(
            self._claimed_last(job.priority), self._has_else(*line)
        )
        in_flight = self._in_flight.setdefault(line, set())
        is_first = waiting is None and not is_running and not in_flight
        turn = max(claimed, waiting or 0) + 1
        while turn in in_flight:
            turn += 1
        in_flight.add(turn)
        try:
            yield job.model_copy(
                update={
                    "turn": turn,
                    "place": place(job.id, priority=job.priority, turn=turn, is_first=is_first),
                    "seat": seat(job.owner, priority=job.priority, turn=turn),
                }
            )
        finally:
            in_flight.discard(turn)
            if not in_flight and self._in_flight.get(line) is in_flight:
                del self._in_flight[line]

    async def advance(self, job: Job) -> None:
        """Say that this job's turn has come. Saying it again, or of an earlier turn, changes nothing."""
        if job.turn <= self._claimed.get(job.priority, 0):
            return

        async def attempt(_in_doubt: bool) -> None:
            await self._clocks.update_one(
                {"_id": clock_id(job.priority)}, {"$max": {"turn": job.turn}}, upsert=True
            )

        await until_certain(attempt)
        self._claimed[job.priority] = job.turn

    async def _claimed_last(self, priority: int) -> int:
        async with reachable():
            clock = await self._clocks.find_one({"_id": clock_id(priority)})
        return 0 if clock is None else int(clock["turn"])

    async def _has_else(self, owner: str, priority: int) -> tuple[int | None, bool]:
        """The owner's greatest waiting turn; and where none waits, whether a job of theirs runs.

        In this order: a job that is claimed meanwhile is seen at least once.
        """
        waiting = await self._greatest_waiting(owner, priority)
        return waiting, waiting is None and await self._is_running(owner)

    async def _is_running(self, owner: str) -> bool:
        fields = equal(owner=owner, status=JobStatus.IN_PROGRESS.value)
        async with reachable():
            return await self._jobs.find_one(fields, {"_id": 1}) is not None

    async def _greatest_waiting(self, owner: str, priority: int) -> int | None:
        prefix = seats_of(owner, priority)
        # A colon comes after every digit.
        seats = {"seat": {"$gte": prefix, "$lt": f"{prefix}:"}}
        async with reachable():
            found = await self._jobs.find(seats, {"seat": 1}).sort("seat", DESCENDING).limit(1).to_list(1)
        return turn_of(found[0]["seat"]) if found else None
