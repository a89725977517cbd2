"""The worker process: owns the device, makes clips one after the other or in batches, talks over one pipe.

    python -m services.execution.worker DESCRIPTOR PARENT

Each of Run, Load and UnloadIdle is answered by exactly one event that ends it; news of the job and
ModelsChanged may come before. While one clip is encoded, on a thread of its own, the next is made.
"""

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from services.child_process import die_with_parent
from services.execution.executor import GenerationCancelled, Generator
from services.execution.inbox import Inbox
from services.execution.messages import (
    Cancelled,
    Done,
    Event,
    GenerationRequest,
    GeneratorConfig,
    Load,
    ModelsChanged,
    Ready,
    Run,
    Shutdown,
    Start,
    Started,
    UnloadIdle,
)
from services.execution.task import Task, failure

logger = logging.getLogger(__name__)

COMPANION_SECONDS = 0.5
"""How long one request waits for another that was announced. It follows at once; later on a busy machine."""

_LOOK_SECONDS = 0.05


class Outbox:
    """Events to the service, from any thread."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        with self._lock:
            self._connection.send(event)


class Worker:
    """Carries out commands on the calling thread."""

    def __init__(self, inbox: Inbox, outbox: Outbox, generator: Generator) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._generator = generator
        self._encoding: list[Task] = []
        self._reported: tuple[str, ...] = ()
        self._reporting = threading.Lock()

    def serve(self) -> None:
        """Until Shutdown."""
        self._outbox.send(Ready(device=self._generator.device))
        while True:
            match self._inbox.next():
                case Shutdown():
                    return
                case Run(request):
                    self._make(request)
                case Load(model):
                    self._carry_out(lambda model=model: self._generator.load(model))  # type: ignore[misc]
                case UnloadIdle():
                    self._carry_out(self._generator.unload_all)

    def _make(self, request: GenerationRequest) -> None:
        tasks = [self._take_up(each) for each in self._with_companions(request)]
        if request.alone:
            self._finish_encoding(tasks)
        tasks = [task for task in tasks if not task.has_ended]
        for task in tasks:
            self._outbox.send(Started(task.request.job_id))
        try:
            self._generator.make(tasks)
        except Exception as error:
            for task in tasks:
                task.fail(error)
        for task in tasks:
            task.leave_device()
        self._encoding = [task for task in (*self._encoding, *tasks) if not task.has_ended]
        if request.alone:
            self._finish_encoding()

    def _with_companions(self, request: GenerationRequest) -> list[GenerationRequest]:
        requests = [request]
        while requests[-1].companions:
            companion = self._inbox.next_companion(request, COMPANION_SECONDS)
            if companion is None:
                break
            requests.append(companion)
        return requests

    def _take_up(self, request: GenerationRequest) -> Task:
        return Task(request, self._send, lambda: self._inbox.is_cancelled(request.job_id))

    def _finish_encoding(self, waiting: Sequence[Task] = ()) -> None:
        for task in self._encoding:
            while not task.wait(_LOOK_SECONDS):
                for other in waiting:
                    if other.is_cancelled:
                        other.fail(GenerationCancelled())
        self._encoding = []

    def _carry_out(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._send(failure("", error))
        else:
            self._send(Done())

    def _send(self, event: Event) -> None:
        """An event, after news of the models where there is some."""
        with self._reporting:
            loaded = tuple(self._generator.loaded)
            if loaded != self._reported:
                self._reported = loaded
                self._outbox.send(ModelsChanged(loaded))
        self._outbox.send(event)


def build_generator(start: Start) -> Generator:
    """The generator that the name stands for. Raises ImportError, AttributeError or its own."""
    module, _, name = start.generator.partition(":")
    factory: Callable[[GeneratorConfig], Generator] = getattr(importlib.import_module(module), name)
    return factory(start.config)


def main() -> None:
    # Ctrl-C and a service manager's SIGTERM may reach every process; the service decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(int(sys.argv[2]))
    logging.basicConfig(level=logging.INFO, format="worker: %(levelname)s %(name)s: %(message)s")
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    connection: Connection[Any, Any] = Connection(descriptor)
    outbox = Outbox(connection)
    inbox = Inbox(connection, lambda job_id: outbox.send(Cancelled(job_id)))
    start = inbox.next()
    if not isinstance(start, Start):
        raise TypeError(f"expected Start, got {type(start).__name__}")
    Worker(inbox, outbox, build_generator(start)).serve()
    # Taking torch apart takes seconds, and nothing is left that would need it.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
