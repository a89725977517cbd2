"""The service in Python: ``Client().generate("a red circle moving left").save("out.mp4")``."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Self, Unpack

from clients.async_client import AsyncClient, FilePath, OnProgress, completed
from clients.background_loop import BackgroundLoop
from clients.records import Filters, Job, Link, Model, Options, Update, Variant


class Client:
    """``AsyncClient`` for programs without an event loop: equal arguments, methods and errors, but it blocks.

    It may be used from any thread, and by several at once; callbacks run in the caller's. The work is done in
    a thread of its own, which ends with ``close``, or when nobody holds the client any more.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        self._client = AsyncClient(url, api_key, timeout=timeout, patience=patience)
        self._loop = BackgroundLoop()
        self._finalizer = weakref.finalize(self, _stop, self._loop, self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._finalizer()

    @property
    def url(self) -> str:
        return self._client.url

    def generate(
        self,
        prompt: str,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> "Clip":
        job = self.create(prompt, **options)
        return Clip(self, self.wait(job.id, on_progress=on_progress, timeout=timeout))

    def create(self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[Options]) -> Job:
        return self._loop.run(self._client.create(prompt, idempotency_key=idempotency_key, **options))

    def get(self, job_id: str) -> Job:
        return self._loop.run(self._client.get(job_id))

    def list(self, *, limit: int | None = None, **filters: Unpack[Filters]) -> Iterator[Job]:
        return self._loop.iterate(self._client.list(limit=limit, **filters))

    def cancel(self, job_id: str) -> Job:
        return self._loop.run(self._client.cancel(job_id))

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        return self._loop.run(self._client.retry(job_id, idempotency_key=idempotency_key))

    def delete(self, job_id: str) -> None:
        self._loop.run(self._client.delete(job_id))

    def models(self) -> tuple[Model, ...]:
        return self._loop.run(self._client.models())

    def link(self, job_id: str, *, expires_in: int = 3600) -> Link:
        return self._loop.run(self._client.link(job_id, expires_in=expires_in))

    def read(self, job_id: str, variant: Variant = "video") -> bytes:
        return self._loop.run(self._client.read(job_id, variant))

    def download(self, job_id: str, path: FilePath = ".") -> Path:
        return self._loop.run(self._client.download(job_id, path))

    def wait(
        self, job_id: str, *, on_progress: OnProgress | None = None, timeout: float | None = None
    ) -> Job:
        for update in self.follow(job_id, timeout=timeout):
            if on_progress is not None:
                on_progress(update)
        return completed(update.job)

    def follow(self, job_id: str, *, timeout: float | None = None) -> Iterator[Update]:
        return self._loop.iterate(self._client.follow(job_id, timeout=timeout))


class Clip:
    """A finished clip."""

    def __init__(self, client: Client, job: Job) -> None:
        self._client = client
        self.job = job

    def save(self, path: FilePath = ".") -> Path:
        """Into a file; into a folder under its id. Where it went."""
        return self._client.download(self.job.id, path)

    def read(self, variant: Variant = "video") -> bytes:
        return self._client.read(self.job.id, variant)


def _stop(loop: BackgroundLoop, client: AsyncClient) -> None:
    loop.stop(client.aclose())
