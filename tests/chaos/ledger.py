"""What clients were told, and what in it cannot be true."""

from collections import Counter
from typing import Any

FINAL = ("completed", "failed", "cancelled")
STABLE = ("status", "params", "error", "video", "metadata", "attempt", "fence", "created_at", "completed_at")
"""What of a record stays as it is once the job has ended."""


class Ledger:
    """Every answer, each with the time at which its request began (seconds of one monotonic clock)."""

    def __init__(self) -> None:
        self.accepted: dict[str, dict[str, Any]] = {}
        self.cancelled: set[str] = set()
        self.deleted: set[str] = set()
        self.perhaps_deleted: set[str] = set()
        self.ends: dict[str, dict[str, Any]] = {}
        self.contradictions: list[str] = []
        self.answers: Counter[str] = Counter()
        self._ended_at: dict[str, float] = {}
        self._fences: dict[str, tuple[float, int]] = {}

    def accept(self, job: dict[str, Any], body: dict[str, Any]) -> None:
        """A 202: the promise."""
        earlier = self.accepted.setdefault(job["id"], body)
        if earlier != body:
            self.contradict(f"{job['id']} was given to two requests")
        for name, value in body.items():
            told = job["metadata"] if name == "metadata" else job["params"].get(name, job.get(name))
            if told != value:
                self.contradict(f"{job['id']}: {name} was {value!r}, the record says {told!r}")

    def observe(self, job: dict[str, Any], began: float, now: float) -> None:
        """A record in an answer."""
        job_id = job["id"]
        said = {name: job[name] for name in STABLE}
        if job_id in self.deleted:
            return
        if job_id in self.ends and began > self._ended_at[job_id] and said != self.ends[job_id]:
            self.contradict(f"{job_id} had ended as {self.ends[job_id]} and is now {said}")
        fence_at, fence = self._fences.get(job_id, (began, 0))
        if began > fence_at and job["fence"] < fence:
            self.contradict(f"{job_id}: the fence went from {fence} to {job['fence']}")
        if job["fence"] > fence:
            self._fences[job_id] = now, job["fence"]
        if job["status"] in FINAL and job_id not in self.ends:
            self.ends[job_id] = said
            self._ended_at[job_id] = now

    def contradict(self, what: str) -> None:
        self.contradictions.append(what)
