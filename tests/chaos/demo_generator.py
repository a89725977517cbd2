"""The real generator with named points in it."""

from collections.abc import Callable

from services.execution.messages import Completed, GenerationRequest, Progress
from services.generation.generator import Generator
from tests.chaos.generators import passing
from tests.chaos.points import reach


class DemoChaos(Generator):
    """The real pipeline over the demo checkpoint."""

    def generate(
        self,
        request: GenerationRequest,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Completed:
        completed = super().generate(request, passing(on_progress), is_cancelled)
        reach("after-encode")
        return completed
