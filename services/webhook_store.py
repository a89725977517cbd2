"""The deliveries of webhooks: every query of their collection."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from models.webhook import WebhookDelivery
from services.database_errors import reachable, until_certain
from services.ids import new_write_token
from services.mongo import Database
from services.webhook_transitions import milliseconds


class WebhookStore:
    """A change is a compare-and-set on the last write's token. Any call may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._deliveries = database.collection("webhook_deliveries")

    async def create_indexes(self) -> None:
        async with reachable():
            await self._deliveries.create_indexes(
                # Only what is pending is due.
                [IndexModel(["due_ms"], sparse=True), IndexModel(["job_id"])]
            )

    async def insert(self, delivery: WebhookDelivery) -> None:
        """Store a new delivery; one that is there already stays as it is."""
        document = delivery.model_copy(update={"write_token": new_write_token()}).to_document()

        async def attempt(_in_doubt: bool) -> None:
            try:
                await self._deliveries.insert_one(document)
            except DuplicateKeyError:
                return

        await until_certain(attempt)

    async def of_job(self, job_id: str) -> list[WebhookDelivery]:
        """In the order of their ids."""
        async with reachable():
            documents = await self._deliveries.find({"job_id": job_id}).to_list(None)
        return sorted(map(WebhookDelivery.model_validate, documents), key=lambda delivery: delivery.id)

    async def due(
        self, now: datetime, *, limit: int, except_owners: Sequence[str] = ()
    ) -> list[WebhookDelivery]:
        """What is to be sent now, longest due first."""
        fields: dict[str, object] = {"due_ms": {"$lte": milliseconds(now)}}
        if except_owners:
            fields["owner"] = {"$nin": list(except_owners)}
        async with reachable():
            cursor = self._deliveries.find(fields).sort("due_ms", ASCENDING).limit(limit)
            documents = await cursor.to_list(limit)
        return [WebhookDelivery.model_validate(document) for document in documents]

    async def replace(self, seen: WebhookDelivery, changed: WebhookDelivery) -> WebhookDelivery | None:
        """Write ``changed`` in the place of ``seen``; None when another has written, or deleted it."""
        written = changed.model_copy(update={"write_token": new_write_token()})
        document = written.to_document()

        async def attempt(in_doubt: bool) -> WebhookDelivery | None:
            guard = {"_id": seen.id, "write_token": seen.write_token}
            if (await self._deliveries.replace_one(guard, document)).matched_count:
                return written
            if in_doubt and await self._deliveries.find_one(guard | {"write_token": written.write_token}):
                return written
            return None

        return await until_certain(attempt)

    async def delete_of(self, job_id: str) -> None:
        """Delete all deliveries of a job."""

        async def attempt(_in_doubt: bool) -> None:
            await self._deliveries.delete_many({"job_id": job_id})

        await until_certain(attempt)
