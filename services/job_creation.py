"""New jobs into the queue: once for each Idempotency-Key, and only while there is room."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.job import Job
from services.errors import InvalidRequest, TooManyRequests, Unavailable
from services.events import EventHub
from services.job_store import DuplicateJob, JobStore, new_job_id

_LATER = {"Retry-After": "10"}


@dataclass(frozen=True)
class Created:
    """A job that was asked for; ``replayed`` when the same request had made it before."""

    job: Job
    replayed: bool = False


class JobCreation:
    """Queues jobs and tells whoever listens.

    Args:
        max_queued: Jobs that may wait before new ones are refused.
        max_queued_per_owner: As many may be one owner's.
        observer: Told every record that is queued or cancelled here.
    """

    def __init__(
        self,
        store: JobStore,
        hub: EventHub,
        *,
        max_queued: int,
        max_queued_per_owner: int,
        observer: Callable[[Job], None] | None = None,
    ) -> None:
        self._store = store
        self._hub = hub
        self._max_queued = max_queued
        self._max_queued_per_owner = max_queued_per_owner
        self._observer = observer

    async def create(
        self, owner: str, make: Callable[[str], Job], request: Mapping[str, Any], key: str | None
    ) -> Created:
        """Queue the owner's job that ``make`` gives for an id.

        Args:
            request: What was asked for, as JSON knows it: a key stands for one such request.
            key: One that was used before gives the job it was used for.

        Raises:
            InvalidRequest: the key was used with another request.
            TooManyRequests: too many of the owner's jobs wait.
            Unavailable: the queue is full.
        """
        job_id = new_job_id()
        if key is not None:
            fingerprint = _fingerprint(request)
            job_id, kept = await self._store.idempotency_keys.reserve(owner, key, fingerprint, job_id)
            if kept != fingerprint:
                raise InvalidRequest(
                    "This Idempotency-Key was used with another request: take a new key.",
                    code="idempotency_key_reused",
                    param="Idempotency-Key",
                )
            if (existing := await self._store.get(job_id, owner=owner)) is not None:
                return Created(existing, replayed=True)
        await self._require_room(owner)
        try:
            job = await self._store.insert(make(job_id))
        except DuplicateJob:
            # The same key at the same moment: the other request was first.
            if (existing := await self._store.get(job_id, owner=owner)) is not None:
                return Created(existing, replayed=True)
            raise
        self.tell(job)
        self._hub.wake()
        return Created(job)

    def tell(self, job: Job) -> None:
        self._hub.publish(job)
        if self._observer is not None:
            self._observer(job)

    async def _require_room(self, owner: str) -> None:
        # Creators at the same moment may pass together: the limits hold to within their number.
        owner_is_full, all_is_full = await asyncio.gather(
            self._store.has_queued(self._max_queued_per_owner, owner=owner),
            self._store.has_queued(self._max_queued),
        )
        if owner_is_full:
            raise TooManyRequests(
                f"{self._max_queued_per_owner} of your jobs wait, which is the limit. Try again later.",
                code="owner_queue_full",
                headers=_LATER,
            )
        if all_is_full:
            raise Unavailable(
                f"The queue is full: {self._max_queued} jobs wait. Try again later.",
                code="queue_full",
                headers=_LATER,
            )


def _fingerprint(request: Mapping[str, Any]) -> str:
    """Equal for requests that say the same, whatever their key order and spacing."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
