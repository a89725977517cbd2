"""The boundary between the dispatcher and whatever runs a generation; between a worker and its generator."""

from collections.abc import Callable, Sequence
from typing import Protocol

from services.catalogue_entry import CatalogueEntry
from services.execution.messages import Completed, GenerationRequest, GeneratorConfig, News


class ExecutionFailed(Exception):
    """The job itself failed (``out_of_memory``, ``invalid_output``, ``model_unavailable``, …): no retry."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class WorkerLost(Exception):
    """The worker died, or hung and was killed, while running the job; another attempt may succeed."""


class WorkerUnavailable(WorkerLost):
    """No worker could be started, so the job was not touched: this was no attempt."""


class GenerationCancelled(Exception):
    """Raised by a generator when ``is_cancelled`` answered True between two steps."""


class Clip(Protocol):
    """One clip to be made, and where its maker tells what becomes of it. Any thread may tell.

    It ends once, with ``complete`` or ``fail``; what is told afterwards is not heard.
    """

    @property
    def request(self) -> GenerationRequest: ...

    @property
    def is_cancelled(self) -> bool:
        """Whether it is no longer wanted: it is to fail with GenerationCancelled within a step."""

    def progress(self, step: int, preview: bytes | None = None) -> None:
        """``step`` steps are done."""

    def leave_device(self, fits: int = 1) -> None:
        """The device has no more to do for it; ``fits`` of its kind can be made at once."""

    def complete(self, completed: Completed) -> None: ...

    def fail(self, error: BaseException) -> None:
        """ExecutionFailed, GenerationCancelled, or what nobody expected."""


class Generator(Protocol):
    """Runs inside the worker process and owns the device. One thread calls it."""

    def __init__(self, config: GeneratorConfig) -> None: ...

    @property
    def device(self) -> str:
        """The device in words."""

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory."""

    def load(self, model: CatalogueEntry) -> None:
        """Bring a model into memory, making room first. Raises ExecutionFailed (``model_unavailable``)."""

    def unload_all(self) -> None:
        """Free every model and the device's cache."""

    def make(self, clips: Sequence[Clip]) -> None:
        """Make clips of one kind (``GenerationRequest.kind``) together.

        Returns when the device is free. Clips that have not ended by then are being encoded on other threads.
        What it raises fails all clips that have not ended.
        """


class Executor(Protocol):
    """Runs generations somewhere. Opened and closed with ``async with``."""

    @property
    def slots(self) -> int:
        """How many devices it has: so many clips or batches are made at once."""

    @property
    def device(self) -> str:
        """The device in words, or ``starting``."""

    @property
    def loaded_models(self) -> tuple[str, ...]: ...

    @property
    def healthy(self) -> bool:
        """Whether a worker is up (or being restarted after a first success)."""

    async def load(self, model: CatalogueEntry) -> None:
        """Preload a model. Raises ExecutionFailed or WorkerLost."""

    async def unload(self) -> None:
        """Free the device of every model. Raises ExecutionFailed or WorkerLost."""

    async def run(self, request: GenerationRequest, on_news: Callable[[News], None]) -> Completed:
        """Make one clip. Raises ExecutionFailed or WorkerLost. ``on_news`` is called on the event loop.

        Any number may be handed over: they are made in this order, ``slots`` at a time.

        Cancelling the awaiting task stops the generation within one step; a worker that does not obey within
        the grace period is killed and replaced. ``run`` returns only when the worker has done with it.
        """

    async def __aenter__(self) -> "Executor": ...

    async def __aexit__(self, *exc_info: object) -> None: ...
