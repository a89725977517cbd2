"""The fastest way to call a function that is ready by now."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from services.generation.acceleration.compiler import Compiler
from services.generation.acceleration.cuda_graphs import CudaGraphs, Outputs

Run = Callable[[list[torch.Tensor], list[torch.Tensor]], Outputs]
"""``(inputs, lasting)``, see ``CudaGraphs``."""


class Runner:
    """Compiled where that has been done for the shape, recorded where the device can; else as it is.

    Args:
        graphs: Records what is called; None to call it directly.
        compiler: None to compile nothing.
    """

    def __init__(self, graphs: CudaGraphs | None = None, compiler: Compiler | None = None) -> None:
        self._graphs = graphs
        self._compiler = compiler

    def with_technique(self, name: str) -> "Runner":
        """For networks that were given one technique more; recordings share their memory with this one's."""
        return Runner(self._graphs, self._compiler and self._compiler.with_technique(name))

    @property
    def is_bound_to_shapes(self) -> bool:
        """Whether each new shape costs more than its computation."""
        return self._graphs is not None or self._compiler is not None

    def choose(self, call: nn.Module, inputs: list[torch.Tensor], lasting: list[torch.Tensor]) -> Run:
        """How to call ``call(*inputs, *lasting)`` with tensors of these shapes, many times.

        One choice for a whole clip: compiled and not, results differ by rounding.
        """
        function: Callable[..., Outputs] = call
        if self._compiler is not None:
            function = self._compiler.find(call, [*inputs, *lasting]) or call
        if self._graphs is not None:
            return partial(self._graphs, function)
        return partial(_call, function)

    def clear(self) -> None:
        """Give back the device memory of recordings."""
        if self._graphs is not None:
            self._graphs.clear()


def _call(
    function: Callable[..., Outputs], inputs: list[torch.Tensor], lasting: list[torch.Tensor]
) -> Outputs:
    return function(*inputs, *lasting)
