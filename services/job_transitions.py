"""What may become of a job, as pure functions from one record to the next.

Each answers None where the old state forbids the step, and the record itself where nothing is left to do.
Final states never change but for their file, which expires, and their webhooks, which are handed over.
``services.job_store`` makes each step atomic.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.job import Job, JobError, JobProgress, JobStatus, Lease, Timings
from models.video import Video


def claimed(job: Job, *, worker: str, token: str, lease_seconds: float, now: datetime) -> Job | None:
    """queued → in_progress: a new fence and lease, one attempt more."""
    if job.status != JobStatus.QUEUED:
        return None
    waited = max(0.0, (now - job.created_at).total_seconds())
    queued = waited if job.timings.queued is None else job.timings.queued
    return job.model_copy(
        update={
            "status": JobStatus.IN_PROGRESS,
            "seat": None,
            "fence": job.fence + 1,
            "attempt": job.attempt + 1,
            "lease": Lease(worker=worker, token=token, expires_at=now + timedelta(seconds=lease_seconds)),
            "started_at": now,
            "progress": JobProgress(total=job.progress.total),
            "timings": Timings(queued=queued),
        }
    )


def _held(job: Job, holder: Job) -> bool:
    """Whether ``holder`` still is the claim under which the job runs."""
    return (
        job.status == JobStatus.IN_PROGRESS
        and job.fence == holder.fence
        and job.lease is not None
        and holder.lease is not None
        and job.lease.token == holder.lease.token
    )


def _ended(job: Job, status: JobStatus, now: datetime, error: JobError | None = None) -> Job:
    left = {"lease": None, "place": None, "seat": None, "webhooks_due": True if job.webhooks else None}
    return job.model_copy(update={"status": status, "completed_at": now, "error": error} | left)


def _requeued(job: Job, *, attempt: int) -> Job:
    return job.model_copy(
        update={
            "status": JobStatus.QUEUED,
            "lease": None,
            "attempt": attempt,
            "started_at": None,
            "progress": JobProgress(total=job.progress.total),
        }
    )


def renewed(
    job: Job, holder: Job, *, lease_seconds: float, progress: JobProgress | None, now: datetime
) -> Job | None:
    """The lease runs on; progress is noted."""
    if not _held(job, holder) or job.lease is None:
        return None
    lease = job.lease.model_copy(update={"expires_at": now + timedelta(seconds=lease_seconds)})
    return job.model_copy(update={"lease": lease, "progress": progress or job.progress})


def completed(
    job: Job,
    holder: Job,
    *,
    video: Video,
    timings: Timings,
    expires_at: datetime,
    prompt_truncated: bool,
    dropped_text: str | None,
    unknown_words: Sequence[str],
    now: datetime,
) -> Job | None:
    """in_progress → completed, unless its caller has asked to cancel."""
    if not _held(job, holder) or job.cancel_requested:
        return None
    return _ended(job, JobStatus.COMPLETED, now).model_copy(
        update={
            "video": video,
            "timings": timings.model_copy(update={"queued": job.timings.queued}),
            "progress": JobProgress(step=job.progress.total, total=job.progress.total, percent=100.0),
            "expires_at": expires_at,
            "prompt_truncated": prompt_truncated,
            "dropped_text": dropped_text,
            "unknown_words": list(unknown_words),
        }
    )


def failed(job: Job, holder: Job, *, error: JobError, now: datetime) -> Job | None:
    """in_progress → failed."""
    return _ended(job, JobStatus.FAILED, now, error) if _held(job, holder) else None


def cancelled(job: Job, holder: Job, *, now: datetime) -> Job | None:
    """in_progress → cancelled."""
    return _ended(job, JobStatus.CANCELLED, now) if _held(job, holder) else None


def released(job: Job, holder: Job, *, keep_attempt: bool, now: datetime) -> Job | None:
    """in_progress → queued, or cancelled where its caller has asked for that."""
    if not _held(job, holder):
        return None
    if job.cancel_requested:
        return _ended(job, JobStatus.CANCELLED, now)
    return _requeued(job, attempt=job.attempt if keep_attempt else job.attempt - 1)


def cancel_requested(job: Job, *, now: datetime) -> Job:
    """queued → cancelled; a running job is marked for its worker; a final one stays as it is."""
    if job.status == JobStatus.QUEUED:
        return _ended(job.model_copy(update={"cancel_requested": True}), JobStatus.CANCELLED, now)
    if job.status == JobStatus.IN_PROGRESS and not job.cancel_requested:
        return job.model_copy(update={"cancel_requested": True})
    return job


def is_stalled(job: Job, now: datetime) -> bool:
    """Whether it runs under a lease that nobody has renewed in time."""
    return job.status == JobStatus.IN_PROGRESS and (job.lease is None or job.lease.expires_at < now)


def recovered(job: Job, holder: Job, *, max_attempts: int, holder_is_gone: bool, now: datetime) -> Job | None:
    """A stalled job → cancelled if that was asked for, queued while attempts are left, else failed.

    With ``holder_is_gone`` so is one whose lease runs, unless it was written to since ``holder`` was read.
    """
    if job.status != JobStatus.IN_PROGRESS or job.fence != holder.fence:
        return None
    if not is_stalled(job, now) and not (holder_is_gone and job.write_token == holder.write_token):
        return None
    if job.cancel_requested:
        return _ended(job, JobStatus.CANCELLED, now)
    if job.attempt < max_attempts:
        return _requeued(job, attempt=job.attempt)
    message = f"The worker was lost in the last of {max_attempts} attempts."
    return _ended(job, JobStatus.FAILED, now, JobError(code="worker_lost", message=message))


def announced(job: Job) -> Job | None:
    """The deliveries of its webhooks are made."""
    if not job.status.is_final:
        return None
    return job.model_copy(update={"webhooks_due": None}) if job.webhooks_due else job


def file_expired(job: Job) -> Job | None:
    """The clip's file is gone, its record stays."""
    if job.status != JobStatus.COMPLETED:
        return None
    return job if job.file_expired else job.model_copy(update={"file_expired": True})
