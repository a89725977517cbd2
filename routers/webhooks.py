"""The deliveries of a job's webhooks."""

from typing import Annotated

from fastapi import APIRouter, Header

from models.webhook import DeliveryList, WebhookEvent
from routers.admission import ADMITTED
from routers.dependencies import Owner, Videos, WebhooksOf, errors

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=errors(401, 403, 429))


@router.get("/{id}/deliveries", summary="List a job's webhook deliveries", responses=errors(401, 404, 503))
async def list_deliveries(id: str, owner: Owner, videos: Videos, webhooks: WebhooksOf) -> DeliveryList:
    """One for each address that is told of the job's end; none before it has ended."""
    return DeliveryList(data=await webhooks.deliveries(await videos.get(id, owner)))


@router.post(
    "/{id}/redeliver",
    status_code=202,
    summary="Send a job's webhooks again",
    responses=errors(401, 404, 409, 503),
    dependencies=[ADMITTED],
)
async def redeliver(id: str, owner: Owner, videos: Videos, webhooks: WebhooksOf) -> DeliveryList:
    """At once, with the same event id, whatever came of them before."""
    return DeliveryList(data=await webhooks.redeliver(await videos.get(id, owner)))


events = APIRouter()
"""What receivers get, for the documentation alone."""


@events.post("video.completed", summary="A clip is finished")
@events.post("video.failed", summary="A job has failed")
@events.post("video.cancelled", summary="A job was cancelled")
def receive(
    event: WebhookEvent,
    webhook_id: Annotated[str, Header(description="The event's `id`, the same whenever it is sent again.")],
    webhook_timestamp: Annotated[int, Header(description="Of this attempt, in seconds since 1970.")],
    webhook_signature: Annotated[
        str, Header(description="`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; maybe several.")
    ],
) -> None:
    """Sent to a job's `webhook_url`, signed as [Standard Webhooks](https://www.standardwebhooks.com) says.

    Any 2xx answer ends it and 410 stops it; anything else is tried again, at growing intervals.
    """
