"""The compiled calls of one model."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from services.generation.acceleration.compile_spec import describe_call, describe_structure
from services.generation.acceleration.workshop import Workshop
from services.generation.memory import is_out_of_memory

Compiled = Callable[..., tuple[torch.Tensor, ...]]


class Compiler:
    """Finds calls that are compiled, and has the others compiled.

    Args:
        techniques: What was applied to the networks.
    """

    def __init__(self, workshop: Workshop, techniques: tuple[str, ...]) -> None:
        self._workshop = workshop
        self._techniques = techniques
        self._structures: dict[Any, str] = {}
        self._loaded: dict[Any, Compiled] = {}

    def with_technique(self, name: str) -> "Compiler":
        """For networks that were given one technique more."""
        return Compiler(self._workshop, (*self._techniques, name))

    def find(self, call: Any, tensors: list[torch.Tensor]) -> Compiled | None:
        """``call`` compiled for tensors of these shapes: always the same object; None until there is one.

        A failure to compile or to load is logged, and no error: the call itself does the same.
        """
        key = (call, tuple((each.dtype, each.shape) for each in tensors))
        if key in self._loaded:
            return self._loaded[key]
        if call not in self._structures:
            self._structures[call] = describe_structure(call)
        spec = describe_call(call, self._techniques, self._structures[call], tensors)
        path = self._workshop.get(spec)
        if path is None:
            return None
        self._workshop.open_to_this_process()
        try:
            with path.open("rb") as file:
                function = torch.compiler.load_compiled_function(file)
            compiled = partial(_run, function, call)
            compiled(*tensors)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # Whatever it is that torch raises for a file that does not fit.
            self._workshop.discard(spec, f"{type(error).__name__}: {error}".partition("\n")[0])
            return None
        self._loaded[key] = compiled
        return compiled


def _run(function: Compiled, call: Any, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Compiled code takes its arguments' layout for granted."""
    return function(call, *(tensor.contiguous() for tensor in tensors))
