"""A dispatcher on the real store, file store and executor, and short words for what tests do with it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.job import Job, JobStatus
from services.catalogue import Catalogue
from services.dispatcher import Dispatcher, DispatcherOptions
from services.events import EventHub
from services.execution.local import LocalExecutor
from services.execution.messages import GeneratorConfig
from services.file_store import FileStore
from services.job_store import JobStore
from tests.generators import SCRIPTED
from tests.jobs import queued_job
from tests.waiting import eventually

OPTIONS = DispatcherOptions(
    worker="here", lease_seconds=2.0, poll_seconds=0.1, max_attempts=2, shutdown_grace_seconds=5.0
)


class Service:
    """Everything a dispatcher stands on, and short words for what tests do with it."""

    def __init__(self, store: JobStore, files: FileStore, executor: LocalExecutor) -> None:
        self.store = store
        self.files = files
        self.executor = executor
        self.hub = EventHub()
        self.catalogue = Catalogue.create("demo")

    def dispatcher(
        self, observer: Callable[[Job], None] | None = None, files: FileStore | None = None, **options: Any
    ) -> Dispatcher:
        return Dispatcher(
            self.store,
            files or self.files,
            self.executor,
            self.hub,
            self.catalogue,
            replace(OPTIONS, **options),
            observer,
        )

    async def queue(self, prompt: str = "at once", **fields: Any) -> str:
        job = queued_job(prompt, **fields)
        await self.store.insert(job)
        self.hub.wake()
        return job.id

    async def get(self, job_id: str) -> Job:
        job = await self.store.get(job_id)
        assert job is not None
        return job

    async def until(self, job_id: str, condition: Callable[[Job], bool], within: float = 60) -> Job:
        job: Job | None = None

        async def holds() -> bool:
            nonlocal job
            job = await self.get(job_id)
            return condition(job)

        await eventually(holds, timeout=within, message=f"{job_id} stays as it is")
        assert job is not None
        return job

    async def final(self, job_id: str, within: float = 60) -> Job:
        return await self.until(job_id, lambda job: job.status.is_final, within)

    async def running(self, job_id: str, step: int = 1) -> Job:
        """Waits until the record says that this step is done."""
        return await self.until(
            job_id, lambda job: job.status is JobStatus.IN_PROGRESS and job.progress.step >= step
        )


@asynccontextmanager
async def service_on(
    store: JobStore, folder: Path, *, max_batch: int | None = None
) -> AsyncIterator[Service]:
    await store.create_indexes()
    config = GeneratorConfig(device="cpu", max_batch=max_batch)
    executor = LocalExecutor(SCRIPTED, config, cancel_grace_seconds=0.3)
    async with executor:
        yield Service(store, FileStore(folder, 10**8), executor)
