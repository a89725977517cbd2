"""Tells receivers of the ends of jobs, each at least once, whichever process dies on the way.

The job's own record is the outbox: with its end it is marked, in the same write. Whoever finds the mark makes
the deliveries, whose ids follow from the job's, and only then takes the mark away. A delivery is claimed by a
compare-and-set before each attempt, and a claim whose holder is gone ends by itself.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from models.job import Job
from models.webhook import (
    DeliveryStatus,
    EventData,
    WebhookDelivery,
    WebhookEvent,
    WebhookTarget,
)
from services.job_store import DatabaseUnavailable, JobStore, utc_now
from services.webhook_sender import Resolver, WebhookSender
from services.webhook_transitions import Outcome, Verdict, announcement, claimed, settled
from services.webhooks import WebhookOptions

logger = logging.getLogger(__name__)

MAX_SENDING = 16
MAX_SENDING_PER_OWNER = 4
_PAGE = 100
_LEASE_MARGIN_SECONDS = 15.0
_STOP_SECONDS = 3.0


@asynccontextmanager
async def open_deliverer(
    store: JobStore, options: WebhookOptions, observer: Callable[[str], None]
) -> AsyncIterator["WebhookDeliverer | None"]:
    """A deliverer that runs; None where webhooks are off."""
    if not options.enabled:
        yield None
        return
    resolver = Resolver()
    try:
        sender = await asyncio.to_thread(
            WebhookSender,
            options.secrets,
            options.policy,
            timeout_seconds=options.timeout_seconds,
            resolve=resolver,
        )
        async with WebhookDeliverer(store, sender, options, observer) as deliverer:
            yield deliverer
    finally:
        resolver.close()


class WebhookDeliverer:
    """Delivers while its ``async with`` block runs. Any number of processes may, on one database.

    Args:
        observer: Told how each attempt ended: ``delivered``, ``retried`` or ``failed``.
    """

    def __init__(
        self,
        store: JobStore,
        sender: WebhookSender,
        options: WebhookOptions,
        observer: Callable[[str], None] | None = None,
    ) -> None:
        self._store = store
        self._deliveries = store.webhooks
        self._sender = sender
        self._options = options
        self._observer = observer
        self._news = asyncio.Event()
        self._sending: dict[asyncio.Task[None], str] = {}
        self._task: asyncio.Task[None] | None = None
        self._database_away = False

    async def __aenter__(self) -> "WebhookDeliverer":
        self._task = asyncio.create_task(self._run(), name="webhooks")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Attempts under way get a few seconds; what they leave is sent by whoever runs next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def wake(self) -> None:
        """Say that a job has ended or a delivery has become due."""
        self._news.set()

    def on_job(self, job: Job) -> None:
        """Look at once when a job that is to be told of has ended."""
        if job.webhooks_due:
            self.wake()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._hand_over()
                await self._send_due()
                self._note_database(away=False)
            except DatabaseUnavailable:
                self._note_database(away=True)
            except Exception:
                # Without this loop nothing is told any more.
                logger.exception("the delivery of webhooks failed and goes on")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.poll_seconds):
                    await self._news.wait()

    async def _hand_over(self) -> None:
        """Make the deliveries of jobs that have ended."""
        while jobs := await self._store.unannounced(limit=_PAGE):
            for job in jobs:
                for target in job.webhooks:
                    delivery = announcement(job, target, self._options.schedule, utc_now())
                    await self._deliveries.insert(delivery)
                await self._store.mark_announced(job)

    async def _send_due(self) -> None:
        while (free := MAX_SENDING - len(self._sending)) > 0:
            in_flight = Counter(self._sending.values())
            busy = [owner for owner, number in in_flight.items() if number >= MAX_SENDING_PER_OWNER]
            due = await self._deliveries.due(utc_now(), limit=free, except_owners=busy)
            for delivery in due:
                if in_flight[delivery.owner] < MAX_SENDING_PER_OWNER:
                    in_flight[delivery.owner] += 1
                    await self._claim(delivery)
            if not due:
                return

    async def _claim(self, seen: WebhookDelivery) -> None:
        lease = self._options.timeout_seconds + _LEASE_MARGIN_SECONDS
        delivery = await self._deliveries.replace(seen, claimed(seen, lease_seconds=lease, now=utc_now()))
        if delivery is None:
            return
        task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
        self._sending[task] = delivery.owner
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self.wake()

    async def _deliver(self, delivery: WebhookDelivery) -> None:
        try:
            if await self._store.get(delivery.job_id) is None:
                # Deleted while its end was being handed over.
                await self._deliveries.delete_of(delivery.job_id)
                return
            started = utc_now()
            outcome = await self._attempt(delivery)
            changed = settled(
                delivery, outcome, started=started, now=utc_now(), schedule=self._options.schedule
            )
            if await self._deliveries.replace(delivery, changed) is not None:
                self._tell(changed)
        except DatabaseUnavailable:
            logger.warning("webhook %s may be sent again: the database is away", delivery.id)

    async def _attempt(self, delivery: WebhookDelivery) -> Outcome:
        url = delivery.url if delivery.target is WebhookTarget.JOB else self._options.service_url
        if url is None:
            return Outcome(Verdict.STOP, error="the service has no webhook of its own any more")
        event = WebhookEvent(
            id=delivery.event_id,
            type=delivery.event,
            created_at=int(delivery.created_at.timestamp()),
            data=EventData(id=delivery.job_id),
        )
        try:
            return await self._sender.send(url, delivery.event_id, event.model_dump_json().encode())
        except Exception:
            # Whatever it is, it counts: else it would be tried for ever.
            logger.exception("webhook %s could not be sent", delivery.id)
            return Outcome(Verdict.RETRY, error="the service failed to send it")

    def _tell(self, delivery: WebhookDelivery) -> None:
        last = delivery.attempts[-1]
        match delivery.status:
            case DeliveryStatus.DELIVERED:
                outcome = "delivered"
                logger.info("webhook %s is delivered, attempt %d", delivery.id, delivery.attempt)
            case DeliveryStatus.FAILED:
                outcome = "failed"
                logger.warning(
                    "webhook %s is given up after attempt %d: %s", delivery.id, delivery.attempt, last.error
                )
            case DeliveryStatus.PENDING:
                outcome = "retried"
                logger.info("webhook %s failed, attempt %d: %s", delivery.id, delivery.attempt, last.error)
        if self._observer is not None:
            self._observer(outcome)

    def _note_database(self, *, away: bool) -> None:
        if away != self._database_away:
            self._database_away = away
            logger.log(
                logging.ERROR if away else logging.INFO,
                "the database is %s",
                "away: no webhook is sent until it is back" if away else "back",
            )
