"""What happens to jobs, told to whoever listens inside this process. The database stays the truth."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from models.job import Job


@dataclass(frozen=True)
class Preview:
    """What a clip looks like after ``step`` steps: a small JPEG."""

    step: int
    image: bytes = field(repr=False)


class Subscription:
    """The snapshots of one job in their order, until the one in which it has ended.

    A reader that falls behind misses none: a job has no more of them than steps.
    """

    def __init__(self) -> None:
        self._snapshots: asyncio.Queue[Job] = asyncio.Queue()
        self._ended = False

    async def next(self, timeout: float) -> Job | None:  # noqa: ASYNC109
        """The next snapshot, or None after ``timeout`` seconds without one."""
        try:
            async with asyncio.timeout(timeout):
                return await self._snapshots.get()
        except TimeoutError:
            return None

    def put(self, job: Job) -> None:
        if not self._ended:
            self._ended = job.status.is_final
            self._snapshots.put_nowait(job)


class EventHub:
    """Hands news from the dispatcher to the endpoints and back. Everything runs on one event loop.

    News of other processes does not come by here: readers poll the database as well.
    """

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._cancellations: dict[str, asyncio.Event] = {}
        self._previews: dict[str, Preview] = {}
        self._work = asyncio.Event()

    def publish(self, job: Job) -> None:
        """Hand a snapshot of a job, progress included, to its subscribers."""
        for subscription in self._subscriptions.get(job.id, ()):
            subscription.put(job)

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        """Snapshots of a job published from now on."""
        subscription = Subscription()
        subscriptions = self._subscriptions.setdefault(job_id, set())
        subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            subscriptions.discard(subscription)
            if not subscriptions and self._subscriptions.get(job_id) is subscriptions:
                del self._subscriptions[job_id]

    def show(self, job_id: str, preview: Preview) -> None:
        """Keep the newest preview of a job, for whoever looks until ``hide``."""
        self._previews[job_id] = preview

    def hide(self, job_id: str) -> None:
        self._previews.pop(job_id, None)

    def preview(self, job_id: str) -> Preview | None:
        """The newest preview of a job that runs in this process."""
        return self._previews.get(job_id)

    @property
    def watched(self) -> int:
        """How many jobs have subscribers."""
        return len(self._subscriptions)

    def wake(self) -> None:
        """Say that a job was queued."""
        self._work.set()

    async def wait_for_work(self, timeout: float) -> None:  # noqa: ASYNC109
        """Return when a job was queued since the last call, or after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._work.wait()
        except TimeoutError:
            return
        self._work.clear()

    def notify_cancel(self, job_id: str) -> None:
        """Say that the record of a job asks for its cancellation, so that its runner looks at once."""
        if (requested := self._cancellations.get(job_id)) is not None:
            requested.set()

    @contextmanager
    def cancellations(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever ``notify_cancel`` names the job. For the one runner of the job."""
        requested = asyncio.Event()
        self._cancellations[job_id] = requested
        try:
            yield requested
        finally:
            if self._cancellations.get(job_id) is requested:
                del self._cancellations[job_id]
