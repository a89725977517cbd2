"""What may become of a delivery, as pure functions from one record to the next.

``services.webhook_store`` makes each step atomic.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from models.job import Job
from models.webhook import KEPT_ATTEMPTS, DeliveryAttempt, DeliveryStatus, WebhookDelivery, WebhookTarget

_GROWTH = 3.0
_JITTER = 0.2


class Verdict(Enum):
    DELIVERED = auto()
    RETRY = auto()
    STOP = auto()


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. ``error`` is for the job's owner: it holds no address and no answer."""

    verdict: Verdict
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class RetrySchedule:
    """When to try again: each pause is three times the one before, give or take a fifth.

    Attributes:
        window: How long after a delivery was asked for it is given up.
        first_seconds: The pause after the first attempt.
        longest_seconds: No pause is longer, but for the jitter.
    """

    window: timedelta = timedelta(hours=24)
    first_seconds: float = 5.0
    longest_seconds: float = 3 * 3600.0

    def pause(self, attempt: int) -> timedelta:
        """After so many attempts, from 1."""
        # The exponent is bounded: a float ends at some 600.
        seconds = min(self.first_seconds * _GROWTH ** min(attempt - 1, 30), self.longest_seconds)
        return timedelta(seconds=seconds * random.uniform(1 - _JITTER, 1 + _JITTER))


def milliseconds(at: datetime) -> int:
    """Since the epoch."""
    return int(at.timestamp() * 1000)


def announcement(job: Job, target: WebhookTarget, schedule: RetrySchedule, now: datetime) -> WebhookDelivery:
    """The delivery of a job's end. Its id follows from the job's, so that it can be made but once."""
    return WebhookDelivery(
        id=f"whd_{job.id.removeprefix('video_')}_{target.value}",
        job_id=job.id,
        owner=job.owner,
        target=target,
        url=job.webhook_url if target is WebhookTarget.JOB else None,
        event=f"video.{job.status.value}",
        created_at=job.completed_at or now,
        expires_at=now + schedule.window,
        due_ms=milliseconds(now),
    )


def claimed(delivery: WebhookDelivery, *, lease_seconds: float, now: datetime) -> WebhookDelivery:
    """An attempt begins; from the end of the lease on, another may."""
    return delivery.model_copy(
        update={
            "is_sending": True,
            "attempt": delivery.attempt + 1,
            "due_ms": milliseconds(now + timedelta(seconds=lease_seconds)),
        }
    )


def settled(
    delivery: WebhookDelivery, outcome: Outcome, *, started: datetime, now: datetime, schedule: RetrySchedule
) -> WebhookDelivery:
    """An attempt has ended: delivered, given up, or due again."""
    attempt = DeliveryAttempt(
        at=started,
        seconds=round(max(0.0, (now - started).total_seconds()), 3),
        status_code=outcome.status_code,
        error=outcome.error,
    )
    done: dict[str, object] = {
        "attempts": [*delivery.attempts, attempt][-KEPT_ATTEMPTS:],
        "is_sending": False,
    }
    due = now + schedule.pause(delivery.attempt)
    match outcome.verdict:
        case Verdict.RETRY if due <= delivery.expires_at:
            return delivery.model_copy(update=done | {"due_ms": milliseconds(due)})
        case Verdict.DELIVERED:
            end: dict[str, object] = {"status": DeliveryStatus.DELIVERED}
        case _:
            end = {"status": DeliveryStatus.FAILED, "error": outcome.error}
    return delivery.model_copy(update=done | end | {"due_ms": None, "ended_at": now})


def asked_again(
    delivery: WebhookDelivery, *, schedule: RetrySchedule, now: datetime
) -> WebhookDelivery | None:
    """Due now and for another window, whatever came of it before; None while an attempt is under way."""
    if delivery.is_sending and delivery.due_ms is not None and delivery.due_ms > milliseconds(now):
        return None
    return delivery.model_copy(
        update={
            "status": DeliveryStatus.PENDING,
            "due_ms": milliseconds(now),
            "expires_at": now + schedule.window,
            "attempt": 0,
            "is_sending": False,
            "error": None,
            "ended_at": None,
        }
    )
