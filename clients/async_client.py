"""The service in Python, for programs with an event loop. ``clients.Client`` is the same without one."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, Self, Unpack
from urllib.parse import quote

from clients.downloads import download
from clients.errors import JobCancelled, JobFailed, UnexpectedAnswer
from clients.following import follow
from clients.records import Filters, Job, JobPage, Link, Model, ModelList, Options, Update, Variant
from clients.transport import Transport, parsed

_PAGE = 50

OnProgress = Callable[[Update], object]
FilePath = str | os.PathLike[str]


class AsyncClient:
    """Talks to one service.

    Args:
        url: Its address; else ``T2V_URL``, else http://127.0.0.1:8000.
        api_key: Else ``T2V_API_KEY``, else none.
        timeout: Seconds for a connection, and for each part of an answer.
        patience: Seconds for which an outage, a full queue or a rate limit is waited out before it becomes an
            error. A service that never answered is not waited for.

    Raises ValueError for an address or a key that cannot be one. All methods raise ApiError with what
    the service says, ServiceUnreachable and UnexpectedAnswer, and besides what they name.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        self._transport = Transport(url, api_key, timeout=timeout, patience=patience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.close()

    @property
    def url(self) -> str:
        return self._transport.url

    async def generate(
        self,
        prompt: str,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        **options: Unpack[Options],
    ) -> "AsyncClip":
        """Make a clip and wait for it: ``await (await client.generate("…")).save("out.mp4")``.

        Raises JobFailed, JobCancelled, and after ``timeout`` seconds WaitTimeout; the job then goes on.
        """
        job = await self.create(prompt, **options)
        return AsyncClip(self, await self.wait(job.id, on_progress=on_progress, timeout=timeout))

    async def create(
        self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[Options]
    ) -> Job:
        """Queue a job: one, however often this has to be tried again, and for all calls with equal keys."""
        said = {name: value for name, value in options.items() if value is not None}
        response = await self._transport.send(
            "POST",
            "/videos",
            json={"prompt": prompt, **said},
            headers=_once(idempotency_key),
        )
        return parsed(Job, response.content)

    async def get(self, job_id: str) -> Job:
        return parsed(Job, (await self._transport.send("GET", _job(job_id))).content)

    async def list(self, *, limit: int | None = None, **filters: Unpack[Filters]) -> AsyncGenerator[Job]:
        """Jobs, newest first, fetched page by page as they are asked for; at most ``limit``."""
        params = {name: _text(value) for name, value in filters.items() if value is not None}
        left = limit
        while left is None or left > 0:
            params["limit"] = str(_PAGE if left is None else min(_PAGE, left))
            page = parsed(JobPage, (await self._transport.send("GET", "/jobs", params=params)).content)
            for job in page.data:
                yield job
            if not page.has_more or page.last_id is None:
                return
            left = None if left is None else left - len(page.data)
            params["after"] = page.last_id

    async def cancel(self, job_id: str) -> Job:
        """Cancel a queued job at once, a running one within a step. Raises Conflict when it has ended."""
        return parsed(Job, (await self._transport.send("POST", _job(job_id) + "/cancel")).content)

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """A new job like a failed or cancelled one: one, as with ``create``."""
        response = await self._transport.send("POST", _job(job_id) + "/retry", headers=_once(idempotency_key))
        return parsed(Job, response.content)

    async def delete(self, job_id: str) -> None:
        """Delete record and clip of a job that has ended.

        Raises Conflict while it has not, NotFound when it is gone, be it by a try whose answer was lost.
        """
        await self._transport.send("DELETE", _job(job_id))

    async def models(self) -> tuple[Model, ...]:
        return tuple(parsed(ModelList, (await self._transport.send("GET", "/models")).content).data)

    async def link(self, job_id: str, *, expires_in: int = 3600) -> Link:
        """A link to the clip that needs no key for ``expires_in`` seconds."""
        response = await self._transport.send(
            "POST", _video(job_id) + "/link", params={"expires_in": expires_in}
        )
        return parsed(Link, response.content)

    async def read(self, job_id: str, variant: Variant = "video") -> bytes:
        """A clip, or its thumbnail or spritesheet, in memory. Raises Conflict while unfinished, Expired."""
        path = _video(job_id) + ("" if variant == "video" else f"/{variant}")
        return (await self._transport.send("GET", path)).content

    async def download(self, job_id: str, path: FilePath = ".") -> Path:
        """A clip into a file; into a folder under its id. Where it went.

        The file is there whole or not at all; what an earlier call left half done is gone on with.
        Raises Conflict while the job is unfinished, Expired, CorruptDownload, OSError.
        """
        job, target = await self.get(job_id), Path(path)
        if await asyncio.to_thread(target.is_dir):
            target = target / f"{job.id}.mp4"
        if job.video is None or job.file_expired:
            # The service says best why there is no clip.
            await self._transport.send("GET", _video(job_id))
            raise UnexpectedAnswer(f"There is a clip of {job.id}, of which its record knows nothing")
        await download(self._transport, _video(job_id), job.video, target)
        return target

    async def wait(
        self,
        job_id: str,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Job:
        """The completed job. Raises JobFailed, JobCancelled, and after ``timeout`` seconds WaitTimeout."""
        async with aclosing(self.follow(job_id, timeout=timeout)) as updates:
            async for update in updates:
                if on_progress is not None:
                    on_progress(update)
        return completed(update.job)

    def follow(self, job_id: str, *, timeout: float | None = None) -> AsyncGenerator[Update]:
        """The job as it stands, then at every step, until it has ended, well or not.

        Through the service's events; where those break off or do not come through, by asking.
        Raises NotFound when the job is deleted meanwhile, WaitTimeout after ``timeout`` seconds.
        """
        return follow(self._transport, job_id, timeout)


class AsyncClip:
    """A finished clip."""

    def __init__(self, client: AsyncClient, job: Job) -> None:
        self._client = client
        self.job = job

    async def save(self, path: FilePath = ".") -> Path:
        """Into a file; into a folder under its id. Where it went."""
        return await self._client.download(self.job.id, path)

    async def read(self, variant: Variant = "video") -> bytes:
        return await self._client.read(self.job.id, variant)


def completed(job: Job) -> Job:
    """The job itself. Raises JobFailed, JobCancelled."""
    if job.status == "completed":
        return job
    raise JobCancelled(job) if job.status == "cancelled" else JobFailed(job)


def _once(idempotency_key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _video(job_id: str) -> str:
    return f"/videos/{quote(job_id, safe='')}"


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
