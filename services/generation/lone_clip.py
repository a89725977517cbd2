"""A clip that somebody waits for in this process."""

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from services.execution.messages import Completed, GenerationRequest, Progress


class LoneClip:
    """A ``Clip`` that tells callables."""

    def __init__(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._request = request
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._end: Future[Completed] = Future()

    @property
    def request(self) -> GenerationRequest:
        return self._request

    @property
    def is_cancelled(self) -> bool:
        return self._is_cancelled()

    def result(self) -> Completed:
        """Waits for the end. Raises what the clip failed with."""
        return self._end.result()

    def progress(self, step: int, preview: bytes | None = None) -> None:
        total = self._request.params.num_inference_steps
        self._on_progress(Progress(self._request.job_id, step, total, preview))

    def leave_device(self, fits: int = 1) -> None:
        """Nobody waits for the device alone."""

    def complete(self, completed: Completed) -> None:
        with suppress(InvalidStateError):
            self._end.set_result(completed)

    def fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self._end.set_exception(error)
