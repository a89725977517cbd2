"""Following a job while it changes."""

import asyncio
import time
from collections.abc import AsyncGenerator

from models.job import Job, JobStatus
from services.errors import NotFound
from services.events import EventHub, Preview
from services.job_store import JobStore

_HUB_SECONDS = 0.25
_POLL_SECONDS = 1.0


class Watcher:
    """Shows jobs as they change in this process, at once, and in others, within about a second.

    Args:
        closing: Set when the service stops: whoever watches a job is let go.
    """

    def __init__(self, store: JobStore, hub: EventHub, closing: asyncio.Event) -> None:
        self._store = store
        self._hub = hub
        self._closing = closing

    async def watch(self, job_id: str, owner: str | None) -> AsyncGenerator[Job]:
        """The job now, then at every change, until it has ended, is deleted, or the service stops.

        Raises NotFound.
        """
        with self._hub.subscribe(job_id) as subscription:
            current = await self._store.get(job_id, owner=owner)
            if current is None:
                raise NotFound(f"There is no job {job_id[:100]!r}.", code="job_not_found", param="id")
            yield current
            polled_at = time.monotonic()
            while not current.status.is_final and not self._closing.is_set():
                newer = await subscription.next(_HUB_SECONDS)
                if newer is None and time.monotonic() - polled_at >= _POLL_SECONDS:
                    newer = await self._store.get(job_id, owner=owner)
                    polled_at = time.monotonic()
                    if newer is None:
                        return
                if newer is not None and is_news(newer, current):
                    current = newer
                    yield current

    def preview(self, job_id: str) -> Preview | None:
        """The newest preview of a job that runs in this process; other processes keep theirs."""
        return self._hub.preview(job_id)

    async def wait(self, job: Job, seconds: float) -> Job:
        """The job once it has ended, or as it stands after ``seconds``."""
        newest = job
        try:
            async with asyncio.timeout(seconds):
                async for snapshot in self.watch(job.id, job.owner):
                    newest = snapshot
        except TimeoutError:
            return newest
        return newest


def is_news(newer: Job, current: Job) -> bool:
    """Whether a snapshot says something else, and is not an older one that a poll has overtaken."""
    if newer.fence < current.fence:
        return False
    both_run = newer.status == current.status == JobStatus.IN_PROGRESS
    if newer.fence == current.fence and both_run and newer.progress.step < current.progress.step:
        return False
    return (newer.status, newer.fence, newer.progress, newer.cancel_requested) != (
        current.status,
        current.fence,
        current.progress,
        current.cancel_requested,
    )
