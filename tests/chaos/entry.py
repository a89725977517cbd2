"""``python -m tests.chaos.entry``: as ``python -m app``, the parts of the service wrapped in points."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import app.__main__ as start
from app.lifespan import open_services
from app.main import create_app
from services.job_store import JobStore
from tests.chaos.points import reach

GENERATOR = "CHAOS_GENERATOR"


def between(method: Callable[..., Any], before: str | None, after: str | None) -> Callable[..., Any]:
    """A coroutine method that passes a point before it and one after it changed something."""

    @functools.wraps(method)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            reach(before)
        result = await method(*args, **kwargs)
        if after and result:
            reach(after)
        return result

    return wrapped


class WrittenInHalves:
    """A file for writing that passes a point in the middle of each write."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "WrittenInHalves":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data[: len(data) // 2])
        self._file.flush()
        reach("mid-write")
        self._file.write(data[len(data) // 2 :])


def wrap() -> None:
    store: Any = JobStore
    store.claim_together = between(JobStore.claim_together, None, "after-claim")
    store.complete = between(JobStore.complete, "before-compare-and-set", "after-compare-and-set")
    store.recover = between(JobStore.recover, "before-recovery", "after-recovery")

    path: Any = Path
    open_file, replace = Path.open, Path.replace

    def open_between(self: Path, *args: Any, **kwargs: Any) -> Any:
        file = open_file(self, *args, **kwargs)
        return WrittenInHalves(file) if self.suffix == ".part" else file

    def replace_between(self: Path, target: Path) -> Path:
        if self.suffix != ".part":
            return replace(self, target)
        reach("before-rename")
        renamed = replace(self, target)
        reach("after-rename")
        return renamed

    path.open = open_between
    path.replace = replace_between

    entry: Any = start
    generator = os.environ[GENERATOR]
    entry.create_app = functools.partial(create_app, generator=generator)
    entry.open_services = functools.partial(open_services, generator=generator)


if __name__ == "__main__":
    wrap()
    sys.exit(start.main())
