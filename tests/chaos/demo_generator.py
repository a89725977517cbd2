"""The real generator with named points in it."""

from collections.abc import Sequence

from services.execution.executor import Clip
from services.generation.generator import Generator
from tests.chaos.generators import PassingClip


class DemoChaos(Generator):
    """The real pipeline over the demo checkpoint."""

    def make(self, clips: Sequence[Clip]) -> None:
        super().make([PassingClip(clip) for clip in clips])
