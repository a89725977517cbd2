"""The boundary between the dispatcher and whatever runs a generation; between a worker and its generator."""

from collections.abc import Callable
from typing import Protocol

from services.catalogue_entry import CatalogueEntry
from services.execution.messages import Completed, GenerationRequest, GeneratorConfig, Progress


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


class Generator(Protocol):
    """Runs inside the worker process, on one thread, and owns the device."""

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

    def generate(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        """Make one clip. Raises ExecutionFailed, or GenerationCancelled a step after ``is_cancelled``."""


class Executor(Protocol):
    """Runs generations somewhere. Opened and closed with ``async with``."""

    @property
    def slots(self) -> int:
        """How many generations it runs at once."""

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

    async def run(self, request: GenerationRequest, on_progress: Callable[[Progress], None]) -> Completed:
        """Make one clip. Raises ExecutionFailed or WorkerLost. ``on_progress`` is called on the event loop.

        Cancelling the awaiting task stops the generation within one step; a worker that does not obey within
        the grace period is killed and replaced. ``run`` returns only when the slot is free again.
        """

    async def __aenter__(self) -> "Executor": ...

    async def __aexit__(self, *exc_info: object) -> None: ...
