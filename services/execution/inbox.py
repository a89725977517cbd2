"""What a worker is told, in order."""

import os
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from services.execution.messages import Cancel, Command, GenerationRequest, Run


class Inbox:
    """Commands from the service. They are read on a thread of their own, so that Cancel overtakes them.

    Args:
        on_withdrawn: Told, on that thread, of a job that was cancelled before it was taken up; ``next`` does
            not give it out.
    """

    def __init__(self, connection: "Connection[Any, Any]", on_withdrawn: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_withdrawn = on_withdrawn
        self._commands: deque[Command] = deque()
        self._cancelled: set[str] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def next(self) -> Command:
        """The next command; waits for one."""
        with self._changed:
            while not self._commands:
                self._changed.wait()
            return self._commands.popleft()

    def next_companion(self, of: GenerationRequest, seconds: float) -> GenerationRequest | None:
        """The next request if it can be made together with this one; waits for it at most so long."""
        deadline = monotonic() + seconds
        with self._changed:
            while not self._commands and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            match self._commands[0] if self._commands else None:
                case Run(request) if request.kind == of.kind and not request.alone:
                    self._commands.popleft()
                    return request
        return None

    def is_cancelled(self, job_id: str) -> bool:
        return job_id in self._cancelled

    def _read(self) -> None:
        while True:
            try:
                command: Command = self._connection.recv()
            except (EOFError, OSError):
                # The service is gone. The main thread may be deep in a kernel: leave without asking it.
                os._exit(1)
            if isinstance(command, Cancel):
                self._cancel(command.job_id)
                continue
            with self._changed:
                if isinstance(command, Run):
                    # A Cancel that came too late for one attempt must not meet the next.
                    self._cancelled.discard(command.request.job_id)
                self._commands.append(command)
                self._changed.notify()

    def _cancel(self, job_id: str) -> None:
        with self._changed:
            waiting = [
                command
                for command in self._commands
                if isinstance(command, Run) and command.request.job_id == job_id
            ]
            for command in waiting:
                self._commands.remove(command)
            if not waiting:
                self._cancelled.add(job_id)
        if waiting:
            self._on_withdrawn(job_id)
