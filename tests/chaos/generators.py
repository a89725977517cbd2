"""The scripted generator with named points in it. Loads no torch, so that a worker starts in no time."""

from collections.abc import Sequence

from services.execution.executor import Clip
from services.execution.messages import Completed, GenerationRequest
from tests.chaos.points import reach
from tests.generators import ScriptedGenerator


class ScriptedChaos(ScriptedGenerator):
    """As its prompt says; encoding is the moment between its last step and its answer."""

    def make(self, clips: Sequence[Clip]) -> None:
        super().make([PassingClip(clip) for clip in clips])


class PassingClip:
    """A clip that passes the points of sampling and encoding."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip

    @property
    def request(self) -> GenerationRequest:
        return self._clip.request

    @property
    def is_cancelled(self) -> bool:
        return self._clip.is_cancelled

    def progress(self, step: int, preview: bytes | None = None) -> None:
        self._clip.progress(step, preview)
        if step == self.request.params.num_inference_steps:
            reach("before-encode")
        elif step:
            reach("mid-sampling")

    def leave_device(self, fits: int = 1) -> None:
        self._clip.leave_device(fits)

    def complete(self, completed: Completed) -> None:
        reach("after-encode")
        self._clip.complete(completed)

    def fail(self, error: BaseException) -> None:
        self._clip.fail(error)
