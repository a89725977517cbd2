"""Brings back jobs whose runner is gone, at start and ever after."""

import asyncio
import logging
import time
from collections.abc import Callable

from models.job import Job
from services import job_store
from services.holder_lock import HolderLock
from services.job_store import DatabaseUnavailable, JobStore
from services.job_transitions import is_stalled

logger = logging.getLogger(__name__)

_LONGEST_INTERVAL_SECONDS = 5.0


class Recovery:
    """Finds abandoned jobs. A job is abandoned when one of these holds:

    - the process that holds its lease is dead by the kernel's word (``HolderLock``);
    - its record has not changed for ``lease_seconds`` by this process's own monotonic clock;
    - its lease has run out by the wall clock, unless that clock has just stepped, or this process or the
      database has just been away: then holders get another ``lease_seconds`` to renew.

    A mistake costs an attempt and no more: the fence keeps the former holder from writing.

    Args:
        is_ours: Whether this process runs the job now; its own heartbeats decide then.
        tell: Told every record that a recovery ends with.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        lease_seconds: float,
        max_attempts: int,
        is_ours: Callable[[Job], bool],
        tell: Callable[[Job], None],
        holders: HolderLock | None = None,
    ) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._is_ours = is_ours
        self._tell = tell
        self._holders = holders
        self._seen: dict[tuple[str, str], float] = {}
        self._clocks: tuple[float, float] | None = None
        self._disturbed_at = float("-inf")

    @property
    def interval_seconds(self) -> float:
        """Between two passes."""
        return min(self._lease_seconds / 4, _LONGEST_INTERVAL_SECONDS)

    async def sweep(self) -> None:
        """One pass. Raises DatabaseUnavailable."""
        try:
            running = await self._store.running()
        except DatabaseUnavailable:
            self._disturbed()
            raise
        now = self._look_at_clocks()
        self._seen = {key: self._seen.get(key, now) for key in map(_version, running)}
        for job in running:
            if not self._is_ours(job) and (why := await self._abandoned(job, now)):
                logger.warning("job %s was left by %s: %s", job.id, job.lease and job.lease.worker, why)
                recovered = await self._store.recover(job, self._max_attempts, holder_is_gone=True)
                if recovered is not None:
                    self._tell(recovered)
        if self._holders is not None:
            named = {job.lease.worker for job in running if job.lease is not None}
            await asyncio.to_thread(self._holders.forget_dead, named)

    async def _abandoned(self, job: Job, now: float) -> str | None:
        """Why, in words; None when its holder may yet come back."""
        holders, lease = self._holders, job.lease
        if holders is not None and lease and await asyncio.to_thread(holders.is_dead, lease.worker):
            return "that process is dead"
        if now - self._seen[_version(job)] >= self._lease_seconds:
            return f"no heartbeat for {self._lease_seconds:g} seconds"
        settled = now - self._disturbed_at >= self._lease_seconds
        return "its lease has run out" if settled and is_stalled(job, job_store.utc_now()) else None

    def _look_at_clocks(self) -> float:
        """The monotonic time in seconds; notes when it and the wall clock did not advance as they should."""
        now, wall = time.monotonic(), job_store.utc_now().timestamp()
        if self._clocks is not None:
            passed, passed_on_wall = now - self._clocks[0], wall - self._clocks[1]
            # A holder that stood still for less would have renewed its lease in time.
            if max(passed, passed_on_wall) > 0.75 * self._lease_seconds or passed_on_wall < 0:
                self._disturbed()
        self._clocks = now, wall
        return now

    def _disturbed(self) -> None:
        self._disturbed_at = time.monotonic()
        self._seen.clear()


def _version(job: Job) -> tuple[str, str]:
    return job.id, job.write_token
