"""The worker process: owns the device, runs one generation at a time, talks over one pipe.

    python -m services.execution.worker DESCRIPTOR PARENT

Commands are read on a thread of their own, so that Cancel arrives while the main thread generates. Each of
Run, Load and UnloadIdle is answered by exactly one event that ends it; Progress and ModelsChanged may come
before.
"""

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from services.catalogue_entry import CatalogueEntry
from services.child_process import die_with_parent
from services.execution.executor import ExecutionFailed, GenerationCancelled, Generator
from services.execution.messages import (
    Cancel,
    Cancelled,
    Command,
    Event,
    Failed,
    GenerationRequest,
    GeneratorConfig,
    Load,
    ModelsChanged,
    Progress,
    Ready,
    Run,
    Shutdown,
    Start,
    UnloadIdle,
)
from services.redaction import without_paths

logger = logging.getLogger(__name__)


class Inbox:
    """Commands from the service, in order; Cancel overtakes them."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._cancelled: str | None = None
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def next(self) -> Command:
        return self._commands.get()

    def is_cancelled(self, job_id: str) -> bool:
        return self._cancelled == job_id

    def _read(self) -> None:
        while True:
            try:
                command: Command = self._connection.recv()
            except (EOFError, OSError):
                # The service is gone. The main thread may be deep in a kernel: leave without asking it.
                os._exit(1)
            if isinstance(command, Cancel):
                self._cancelled = command.job_id
                continue
            if isinstance(command, Run):
                # A Cancel that came too late for one attempt must not meet the next.
                self._cancelled = None
            self._commands.put(command)


class Worker:
    """Carries out commands on the calling thread."""

    def __init__(self, connection: "Connection[Any, Any]", inbox: Inbox, generator: Generator) -> None:
        self._connection = connection
        self._inbox = inbox
        self._generator = generator
        self._reported: tuple[str, ...] = ()

    def serve(self) -> None:
        """Until Shutdown."""
        self._send(Ready(device=self._generator.device))
        while True:
            command = self._inbox.next()
            match command:
                case Shutdown():
                    return
                case Run(request):
                    answer = self._attempt(request.job_id, self._generate, request)
                    self._report_models()
                    self._send(answer)
                case Load(model):
                    self._send(self._attempt("", self._load, model))
                case UnloadIdle():
                    self._send(self._attempt("", self._unload))

    def _generate(self, request: GenerationRequest) -> Event:
        def on_progress(progress: Progress) -> None:
            self._report_models()
            self._send(progress)

        def is_cancelled() -> bool:
            return self._inbox.is_cancelled(request.job_id)

        return self._generator.generate(request, on_progress, is_cancelled)

    def _load(self, model: CatalogueEntry) -> Event:
        self._generator.load(model)
        return self._models()

    def _unload(self) -> Event:
        self._generator.unload_all()
        return self._models()

    def _attempt(self, job_id: str, action: Callable[..., Event], *arguments: object) -> Event:
        """What ``action`` answers, or the event that tells of its failure: the worker outlives any job."""
        try:
            return action(*arguments)
        except GenerationCancelled:
            return Cancelled(job_id)
        except ExecutionFailed as error:
            message = without_paths(error.message)
            if message != error.message:
                logger.error("job %s: %s: %s", job_id or "(none)", error.code, error.message)
            return Failed(job_id, error.code, message)
        except Exception as error:
            # The message may hold paths or prompts: the caller gets the error's name, the log the rest.
            logger.exception("job %s failed unexpectedly", job_id or "(none)")
            return Failed(
                job_id, "internal_error", f"the generation failed unexpectedly ({type(error).__name__})"
            )

    def _report_models(self) -> None:
        if tuple(self._generator.loaded) != self._reported:
            self._send(self._models())

    def _models(self) -> ModelsChanged:
        self._reported = tuple(self._generator.loaded)
        return ModelsChanged(self._reported)

    def _send(self, event: Event) -> None:
        self._connection.send(event)


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
    inbox = Inbox(connection)
    start = inbox.next()
    if not isinstance(start, Start):
        raise TypeError(f"expected Start, got {type(start).__name__}")
    Worker(connection, inbox, build_generator(start)).serve()
    # Taking torch apart takes seconds, and nothing is left that would need it.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
