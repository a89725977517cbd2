"""One life of a worker process, seen from the service."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from services.catalogue_entry import REPOSITORY_ROOT
from services.execution.messages import Command, Event, GeneratorConfig, Start

logger = logging.getLogger(__name__)

_EXIT_SECONDS = 5.0
"""How long a process may take to end after it has closed its pipe."""


class WorkerProcess:
    """Starts a worker, hands its events to the event loop, and reaps it.

    Make it on the thread that runs the loop, and let that thread live: Linux ends the worker with the thread
    that started it. ``exited`` becomes the exit status after the last event was handed over.
    """

    def __init__(self, generator: str, config: GeneratorConfig, on_event: Callable[[Event], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self.exited: asyncio.Future[int] = self._loop.create_future()
        ours, theirs = Pipe(duplex=True)
        self._connection: Connection[Any, Any] = ours
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "services.execution.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,
                env=os.environ | {"PYTHONPATH": _python_path()},
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        # The config holds a token: it travels over the pipe, never in arguments that others can list.
        self.send(Start(generator, config))
        self._reader = threading.Thread(target=self._read, name=f"worker {self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, command: Command) -> None:
        """A worker that has ended gets nothing; ``exited`` tells."""
        try:
            self._connection.send(command)
        except OSError:
            logger.debug("worker %d is gone and misses %s", self.pid, type(command).__name__)

    def kill(self) -> None:
        self._process.kill()

    async def wait(self, grace_seconds: float) -> None:
        """Let the worker end by itself, then kill it. Returns when it is reaped."""
        await asyncio.wait({self.exited}, timeout=grace_seconds)
        if not self.exited.done():
            self.kill()
        await asyncio.wait({self.exited})

    def _read(self) -> None:
        try:
            while True:
                event: Event = self._connection.recv()
                self._loop.call_soon_threadsafe(self._on_event, event)
        except (EOFError, OSError):
            logger.debug("worker %d closed its pipe", self.pid)
        finally:
            self._loop.call_soon_threadsafe(self._finish, self._reap())

    def _finish(self, status: int) -> None:
        self._connection.close()
        self.exited.set_result(status)

    def _reap(self) -> int:
        try:
            return self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def describe_exit(status: int) -> str:
    """An exit status in words: ``signal SIGKILL`` or ``exit status 1``."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


def _python_path() -> str:
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(REPOSITORY_ROOT), *([inherited] if inherited else [])])
