"""When a delivery is tried again, and when it is given up."""

from datetime import timedelta

from models.job import Job, JobStatus
from models.webhook import KEPT_ATTEMPTS, DeliveryStatus, WebhookDelivery, WebhookTarget
from services.job_store import utc_now
from services.job_transitions import announced, cancel_requested
from services.webhook_transitions import (
    Outcome,
    RetrySchedule,
    Verdict,
    announcement,
    asked_again,
    claimed,
    milliseconds,
    settled,
)
from tests.jobs import queued_job

NOW = utc_now()
SCHEDULE = RetrySchedule()
FAILED = Outcome(Verdict.RETRY, 500, "the receiver answered 500")


def ended_job() -> Job:
    job = queued_job(webhook_url="https://example.com/", webhooks=[WebhookTarget.JOB, WebhookTarget.SERVICE])
    return cancel_requested(job, now=NOW)


def pending() -> WebhookDelivery:
    return announcement(ended_job(), WebhookTarget.JOB, SCHEDULE, NOW)


def attempted(
    delivery: WebhookDelivery, outcome: Outcome, after: timedelta = timedelta(0)
) -> WebhookDelivery:
    now = NOW + after
    sending = claimed(delivery, lease_seconds=30, now=now)
    return settled(sending, outcome, started=now, now=now, schedule=SCHEDULE)


def test_the_end_of_a_job_marks_it_and_the_handing_over_unmarks_it() -> None:
    job = ended_job()
    assert job.webhooks_due
    done = announced(job)
    assert done is not None
    assert done.webhooks_due is None
    assert announced(done) is done
    assert announced(queued_job()) is None
    assert cancel_requested(queued_job(), now=NOW).webhooks_due is None


def test_a_delivery_follows_from_its_job() -> None:
    job = ended_job()
    own, service = (announcement(job, target, SCHEDULE, NOW) for target in WebhookTarget)
    number = job.id.removeprefix("video_")
    assert (own.id, service.id) == (f"whd_{number}_job", f"whd_{number}_service")
    assert own.event_id == service.event_id == f"evt_{number}"
    assert (own.url, service.url) == ("https://example.com/", None)
    assert own.event == "video.cancelled"
    assert own.created_at == job.completed_at
    assert job.status is JobStatus.CANCELLED


def test_pauses_grow_and_vary() -> None:
    for attempt, seconds in ((1, 5), (2, 15), (3, 45), (6, 1215), (8, 10800), (9, 10800), (10**6, 10800)):
        pauses = {SCHEDULE.pause(attempt).total_seconds() for _ in range(50)}
        assert all(0.8 * seconds <= pause <= 1.2 * seconds for pause in pauses)
        assert len(pauses) > 10


def test_a_receiver_that_stays_away_is_given_up_after_hours() -> None:
    delivery, after = pending(), timedelta(0)
    while delivery.due_ms is not None:
        after = timedelta(milliseconds=delivery.due_ms - milliseconds(NOW))
        delivery = attempted(delivery, FAILED, after)
    assert delivery.status is DeliveryStatus.FAILED
    assert delivery.error == "the receiver answered 500"
    assert timedelta(hours=18) < after <= timedelta(hours=24)
    assert 12 <= delivery.attempt <= 18
    assert len(delivery.attempts) == delivery.attempt


def test_after_a_long_stop_one_more_attempt_is_made() -> None:
    late = attempted(pending(), FAILED, timedelta(days=3))
    assert (late.status, late.attempt) == (DeliveryStatus.FAILED, 1)
    assert attempted(pending(), Outcome(Verdict.DELIVERED, 200), timedelta(days=3)).status == "delivered"


def test_a_claim_ends_by_itself() -> None:
    sending = claimed(pending(), lease_seconds=30, now=NOW)
    assert (sending.is_sending, sending.attempt) == (True, 1)
    assert sending.due_ms == milliseconds(NOW) + 30_000


def test_the_last_attempts_are_kept() -> None:
    delivery = pending()
    for number in range(KEPT_ATTEMPTS + 3):
        delivery = attempted(delivery, Outcome(Verdict.RETRY, 500 + number, "x"))
    assert [each.status_code for each in delivery.attempts] == list(range(503, 503 + KEPT_ATTEMPTS))


def test_asking_again() -> None:
    gone = attempted(pending(), Outcome(Verdict.STOP, 410, "gone"))
    later = NOW + timedelta(days=2)
    again = asked_again(gone, schedule=SCHEDULE, now=later)
    assert again is not None
    assert (again.status, again.due_ms, again.attempt) == ("pending", milliseconds(later), 0)
    assert (again.error, again.ended_at, again.expires_at) == (None, None, later + SCHEDULE.window)
    assert again.attempts == gone.attempts

    sending = claimed(pending(), lease_seconds=30, now=NOW)
    assert asked_again(sending, schedule=SCHEDULE, now=NOW) is None
    assert asked_again(sending, schedule=SCHEDULE, now=NOW + timedelta(seconds=31)) is not None
    waiting = attempted(pending(), FAILED)
    hurried = asked_again(waiting, schedule=SCHEDULE, now=NOW)
    assert hurried is not None
    assert hurried.due_ms == milliseconds(NOW)
