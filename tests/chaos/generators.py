"""The scripted generator with named points in it. Loads no torch, so that a worker starts in no time."""

from collections.abc import Callable

from services.execution.messages import Completed, GenerationRequest, Progress
from tests.chaos.points import reach
from tests.generators import ScriptedGenerator


class ScriptedChaos(ScriptedGenerator):
    """As its prompt says; encoding is the moment between its last step and its answer."""

    def generate(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        completed = super().generate(request, passing(on_progress), is_cancelled)
        reach("after-encode")
        return completed


def passing(on_progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """``on_progress`` that passes the points of sampling."""

    def passed(progress: Progress) -> None:
        on_progress(progress)
        if progress.step == progress.total:
            reach("before-encode")
        elif progress.step:
            reach("mid-sampling")

    return passed
