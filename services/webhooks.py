"""What callers can do with webhooks: name one for a job, see its deliveries, ask for them again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from models.job import Job
from models.webhook import DeliveryResponse, Endpoint, WebhookDelivery, WebhookTarget
from services.errors import Conflict, InvalidRequest
from services.job_store import JobStore, utc_now
from services.public_addresses import AddressPolicy
from services.webhook_transitions import RetrySchedule, asked_again

_OFF = "This service sends no webhooks: its operator has not set T2V_WEBHOOK_SECRET."
_SHOWN = DeliveryResponse.model_fields.keys() & (WebhookDelivery.model_fields.keys() | {"event_id"})


@dataclass(frozen=True)
class WebhookOptions:
    """How webhooks are sent.

    Attributes:
        secrets: What signs them; without any, none is sent.
        service_url: Where every job's end is told, or None.
        policy: Which addresses they may go to.
        timeout_seconds: The longest one attempt may take.
        schedule: When an attempt that failed is made again.
        poll_seconds: How often the database is asked without a wake-up.
    """

    secrets: tuple[bytes, ...] = ()
    service_url: str | None = None
    policy: AddressPolicy = field(default_factory=AddressPolicy)
    timeout_seconds: float = 15.0
    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    poll_seconds: float = 1.0

    @property
    def enabled(self) -> bool:
        return bool(self.secrets)


class Webhooks:
    """The webhooks of jobs, as endpoints see them.

    Args:
        wake: Called when a delivery has become due.
    """

    def __init__(self, store: JobStore, options: WebhookOptions, wake: Callable[[], None]) -> None:
        self._store = store
        self._options = options
        self._wake = wake

    def targets(self, url: str | None) -> list[WebhookTarget]:
        """Where the end of a new job is to be told, with ``url`` its own address.

        Raises InvalidRequest: webhooks are off, or the address is one that nothing may be sent to.
        """
        targets = []
        if url is not None:
            if not self._options.enabled:
                raise InvalidRequest(_OFF, code="webhooks_off", param="webhook_url")
            if self._options.policy.refuses_host(Endpoint.parse(url).host):
                raise InvalidRequest(
                    "webhook_url: its host must be public, not an address of this machine or its network.",
                    code="webhook_address_refused",
                    param="webhook_url",
                )
            targets.append(WebhookTarget.JOB)
        if self._options.enabled and self._options.service_url not in (None, url):
            targets.append(WebhookTarget.SERVICE)
        return targets

    async def deliveries(self, job: Job) -> list[DeliveryResponse]:
        return [_shown(delivery) for delivery in await self._store.webhooks.of_job(job.id)]

    async def redeliver(self, job: Job) -> list[DeliveryResponse]:
        """Send the event again to where it goes, also where it was delivered; not where it is being sent.

        Raises Conflict: the job has not ended, has no webhook, or webhooks are off.
        """
        if not job.webhooks:
            raise Conflict("The job has no webhook.", code="no_webhook")
        if not job.status.is_final:
            raise Conflict(f"The job is {job.status}: its end is yet to come.", code="job_not_ended")
        if not self._options.enabled:
            raise Conflict(_OFF, code="webhooks_off")
        for delivery in await self._store.webhooks.of_job(job.id):
            changed = asked_again(delivery, schedule=self._options.schedule, now=utc_now())
            if changed is not None:
                await self._store.webhooks.replace(delivery, changed)
        self._wake()
        return await self.deliveries(job)


def _shown(delivery: WebhookDelivery) -> DeliveryResponse:
    pending_at = None if delivery.due_ms is None else datetime.fromtimestamp(delivery.due_ms / 1000, UTC)
    return DeliveryResponse(
        **{name: getattr(delivery, name) for name in _SHOWN},
        next_attempt_at=None if delivery.is_sending else pending_at,
    )
