"""One job inside a worker, from when it is taken up to its one answer."""

import logging
import threading
from collections.abc import Callable

from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.execution.messages import (
    Cancelled,
    Completed,
    DeviceDone,
    Event,
    Failed,
    GenerationRequest,
    Progress,
)
from services.redaction import without_paths

logger = logging.getLogger(__name__)


class Task:
    """A ``Clip`` whose story is told to the service.

    Args:
        send: Sends an event; may be called on any thread.
        is_cancelled: Whether the service has asked to stop.
    """

    def __init__(
        self, request: GenerationRequest, send: Callable[[Event], None], is_cancelled: Callable[[], bool]
    ) -> None:
        self._request = request
        self._send = send
        self._is_cancelled = is_cancelled
        self._lock = threading.Lock()
        self._has_left_device = False
        self._ended = threading.Event()

    @property
    def request(self) -> GenerationRequest:
        return self._request

    @property
    def is_cancelled(self) -> bool:
        return self._is_cancelled()

    def progress(self, step: int, preview: bytes | None = None) -> None:
        total = self._request.params.num_inference_steps
        self._tell(Progress(self._request.job_id, step, total, preview))

    def leave_device(self, fits: int = 1) -> None:
        if not self._has_left_device:
            self._has_left_device = True
            self._tell(DeviceDone(self._request.job_id, fits))

    def complete(self, completed: Completed) -> None:
        self._end(completed)

    def fail(self, error: BaseException) -> None:
        self._end(failure(self._request.job_id, error))

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        return self._ended.wait(seconds)

    def _tell(self, event: Event) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._send(event)

    def _end(self, answer: Event) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._send(answer)
                self._ended.set()


def failure(job_id: str, error: BaseException) -> Failed | Cancelled:
    """The answer that tells of an error: the worker outlives any job. Of no job where ``job_id`` is empty."""
    match error:
        case GenerationCancelled():
            return Cancelled(job_id)
        case ExecutionFailed(code=code, message=message):
            told = without_paths(message)
            if told != message:
                logger.error("job %s: %s: %s", job_id or "(none)", code, message)
            return Failed(job_id, code, told)
        case _:
            # The message may hold paths or prompts: the caller gets the error's name, the log the rest.
            logger.error("job %s failed unexpectedly", job_id or "(none)", exc_info=error)
            name = type(error).__name__
            return Failed(job_id, "internal_error", f"the generation failed unexpectedly ({name})")
