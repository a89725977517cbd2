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
from services.file_store import FileStore
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
        if after and result is not None:
            reach(after)
        return result

    return wrapped


def wrap() -> None:
    store: Any = JobStore
    store.claim = between(JobStore.claim, None, "after-claim")
    store.complete = between(JobStore.complete, "before-compare-and-set", "after-compare-and-set")
    store.recover = between(JobStore.recover, "before-recovery", "after-recovery")

    files: Any = FileStore
    write, replace = FileStore._write, Path.replace

    def write_in_halves(self: FileStore, path: Path, data: bytes) -> None:
        path.with_name(path.name + ".part").write_bytes(data[: len(data) // 2])
        reach("mid-write")
        write(self, path, data)

    def replace_between(self: Path, target: Path) -> Path:
        if self.suffix != ".part":
            return replace(self, target)
        reach("before-rename")
        path = replace(self, target)
        reach("after-rename")
        return path

    files._write = write_in_halves
    Path.replace = replace_between  # type: ignore[assignment,method-assign]

    entry: Any = start
    generator = os.environ[GENERATOR]
    entry.create_app = functools.partial(create_app, generator=generator)
    entry.open_services = functools.partial(open_services, generator=generator)


if __name__ == "__main__":
    wrap()
    sys.exit(start.main())
