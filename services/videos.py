"""What can be done with clips and their jobs: make, find, cancel, retry, delete."""

import asyncio
from collections.abc import Callable
from typing import Any

from models.job import Job, JobProgress, JobStatus
from models.video import Video, VideoCreate, VideoParams
from services.catalogue import Catalogue
from services.errors import Conflict, Expired, NotFound
from services.events import EventHub
from services.file_store import FileStore
from services.job_creation import Created, JobCreation
from services.job_store import JobPage, JobQuery, JobStore, utc_now
from services.validation import complete_params, resolve_model
from services.webhooks import Webhooks


class VideoService:
    """Everything takes the owner and sees that owner's jobs alone; ``owner=None`` sees all.

    Args:
        max_queued: Jobs that may wait before new ones are refused.
        max_queued_per_owner: As many may be one owner's.
        observer: Told every record that is queued or cancelled here.
    """

    def __init__(
        self,
        store: JobStore,
        files: FileStore,
        hub: EventHub,
        catalogue: Catalogue,
        webhooks: Webhooks,
        *,
        max_queued: int,
        max_queued_per_owner: int,
        observer: Callable[[Job], None] | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._hub = hub
        self._catalogue = catalogue
        self._webhooks = webhooks
        self._creation = JobCreation(
            store,
            hub,
            max_queued=max_queued,
            max_queued_per_owner=max_queued_per_owner,
            observer=observer,
        )

    async def create(
        self,
        owner: str,
        request: VideoCreate,
        idempotency_key: str | None = None,
        *,
        remix_of: str | None = None,
    ) -> Created:
        """Queue a job. A key that was used before gives the job it was used for.

        Raises:
            InvalidRequest: a limit is broken, or the key was used with another body.
            TooManyRequests: too many of the owner's jobs wait.
            Unavailable: the queue is full.
        """
        entry = resolve_model(request, self._catalogue)
        params = complete_params(request, entry)
        webhooks = self._webhooks.targets(request.webhook_url)

        def make(job_id: str) -> Job:
            return _new_job(
                job_id,
                owner,
                entry.name,
                params,
                metadata=request.metadata,
                priority=request.priority,
                webhook_url=request.webhook_url,
                webhooks=webhooks,
                remix_of=remix_of,
            )

        said = request.model_dump(mode="json", exclude_unset=True)
        if remix_of is not None:
            said["remix_of"] = remix_of
        return await self._creation.create(owner, make, said, idempotency_key)

    async def retry(self, job_id: str, owner: str, idempotency_key: str | None = None) -> Created:
        """Queue a failed or cancelled job again, as a new job with the same parameters, seed included.

        A priority above 0 is not granted again. Raises as ``create`` does, and Conflict in another state.
        """
        old = await self.get(job_id, owner)
        if old.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
            raise Conflict(
                f"The job is {old.status}; only a failed or cancelled job can be retried.",
                code="not_retryable",
            )
        if self._catalogue.get(old.model) is None:
            raise Conflict(f"The model {old.model!r} is no longer available.", code="model_not_found")
        webhooks = self._webhooks.targets(old.webhook_url)

        def make(new_id: str) -> Job:
            return _new_job(
                new_id,
                owner,
                old.model,
                old.params,
                metadata=old.metadata,
                priority=min(old.priority, 0),
                webhook_url=old.webhook_url,
                webhooks=webhooks,
                retry_of=old.id,
            )

        return await self._creation.create(owner, make, {"retry_of": old.id}, idempotency_key)

    async def remix(
        self, job_id: str, owner: str, prompt: str, idempotency_key: str | None = None
    ) -> Created:
        """Queue a completed job again with another prompt: all other parameters stay, the seed too.

        A priority above 0 is not granted again. Raises as ``create`` does, and Conflict unless completed.
        """
        old = await self.get(job_id, owner)
        if old.status is not JobStatus.COMPLETED:
            raise Conflict(
                f"The job is {old.status}; only a completed clip can be remixed.", code="not_remixable"
            )
        request = VideoCreate(
            **old.params.model_dump() | {"prompt": prompt},
            model=old.model,
            metadata=old.metadata,
            priority=min(old.priority, 0),
            webhook_url=old.webhook_url,
        )
        return await self.create(owner, request, idempotency_key, remix_of=old.id)

    async def get(self, job_id: str, owner: str | None) -> Job:
        """Raises NotFound for an unknown id, and for another owner's."""
        job = await self._store.get(job_id, owner=owner)
        if job is None:
            raise NotFound(f"There is no job {job_id[:100]!r}.", code="job_not_found", param="id")
        return job

    async def page(self, query: JobQuery) -> JobPage:
        return await self._store.list(query)

    async def cancel(self, job_id: str, owner: str) -> Job:
        """Cancel a queued job at once, or ask its runner to stop. Raises Conflict when it has ended."""
        job = await self._store.request_cancel(job_id, owner=owner)
        if job is None:
            return await self.get(job_id, owner)
        if job.status in (JobStatus.COMPLETED, JobStatus.FAILED):
            raise Conflict(f"The job is {job.status}: nothing is left to cancel.", code="job_ended")
        if job.status is JobStatus.CANCELLED:
            self._creation.tell(job)
        else:
            self._hub.notify_cancel(job.id)
        return job

    async def delete(self, job_id: str, owner: str) -> None:
        """Delete the record and the files of a job that has ended. Raises Conflict while it has not."""
        job = await self.get(job_id, owner)
        if not job.status.is_final:
            raise Conflict(f"The job is {job.status}: cancel it first, then delete it.", code="job_not_ended")
        await self._store.delete(job_id, owner=owner)
        await asyncio.to_thread(self._files.delete, job_id)

    def require_video(self, job: Job) -> Video:
        """The facts of the clip. Raises Conflict unless the job is completed, Expired once its file is."""
        if not job.status.is_final:
            raise Conflict(
                f"The clip is not finished: its job is {job.status}, {job.progress.percent:g}% done.",
                code=f"video_{job.status}",
                headers={"Retry-After": "1" if job.status is JobStatus.IN_PROGRESS else "2"},
            )
        if job.status is not JobStatus.COMPLETED or job.video is None:
            why = f"{job.error.code}: {job.error.message}" if job.error else "it was asked to stop"
            raise Conflict(f"There is no clip: its job is {job.status} ({why}).", code=f"video_{job.status}")
        if job.file_expired:
            raise Expired("The clip's file has expired; its job's record is kept.", code="video_expired")
        return job.video


def _new_job(job_id: str, owner: str, model: str, params: VideoParams, **fields: Any) -> Job:
    return Job(
        id=job_id,
        owner=owner,
        model=model,
        params=params,
        progress=JobProgress(total=params.num_inference_steps),
        created_at=utc_now(),
        **fields,
    )
