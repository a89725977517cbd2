"""One change of one job's record, whole or not at all.

It is a compare-and-set of the document on the token of its last write, so that of two writers one wins and a
write that is delivered twice acts once. When a connection breaks in the middle, the document is read again:
its token tells whether the write arrived.
"""

from collections.abc import Callable, Mapping
from typing import Any

from models.job import Job
from services.database_errors import until_certain
from services.ids import new_write_token
from services.mongo import Collection


async def change_job(
    jobs: Collection,
    job_id: str,
    change: Callable[[Job], Job | None],
    *,
    seen: Mapping[str, Any] | None = None,
) -> Job | None:
    """Apply ``change`` to the job as it is now, atomically.

    Args:
        jobs: The collection that holds it.
        change: From the record to its successor; None refuses, the record itself leaves all as it is.
        seen: The document as just read; None reads it.

    Returns:
        The record after the change, and after what others have changed since where its answer was lost;
        None when there is no such job or ``change`` refuses.

    Raises:
        DatabaseUnavailable: it stayed away; whether the change is made is not known.
    """
    written: dict[str, Job] = {}
    fresh = seen

    async def attempt(_in_doubt: bool) -> Job | None:
        nonlocal fresh
        while True:
            document = fresh or await jobs.find_one({"_id": job_id})
            fresh = None
            if document is None:
                return None
            job = Job.model_validate(document)
            if job.write_token in written:  # a write whose answer was lost
                return written[job.write_token]
            changed = change(job)
            if changed is None and any(_lives_on(write, job) for write in written.values()):
                return job  # that write again, and others have added to it since
            if changed is None or changed is job:
                return changed
            changed = changed.model_copy(update={"write_token": new_write_token()})
            written[changed.write_token] = changed
            # A replacement, since the embedded server stores a $set datetime as a string.
            result = await jobs.replace_one(
                {"_id": job_id, "write_token": job.write_token, "fence": job.fence},
                _successor(document, job, changed),
            )
            if result.matched_count:
                return changed
            del written[changed.write_token]

    return await until_certain(attempt)


def _lives_on(written: Job, job: Job) -> bool:
    """Whether ``job`` is as this write left it, but for what others note later."""

    def lasting(record: Job) -> tuple[object, ...]:
        return record.status, record.fence, record.completed_at, record.lease and record.lease.token

    return lasting(written) == lasting(job)


def _successor(document: Mapping[str, Any], job: Job, changed: Job) -> dict[str, Any]:
    """The stored ``document`` of ``job`` as it is after the change; fields that Job does not know stay."""
    return {name: value for name, value in document.items() if name not in job.to_document()} | (
        changed.to_document()
    )
