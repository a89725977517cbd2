"""torch.compile, for CUDA."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from services.generation.acceleration.backend import Compiled


class InductorBackend:
    """See ``Backend``. Without CUDA graphs, which ``CudaGraphs`` records around it."""

    name = "compiled"
    most_loaded = 64
    loads_aside = False

    @property
    def version(self) -> str:
        return f"{torch.__version__} {torch.version.cuda}"

    def compile(self, call: nn.Module, tensors: list[torch.Tensor], path: Path) -> None:
        """Without guards: who loads it has made sure by ``CompileSpec`` that it fits."""
        options: dict[str, Any] = {
            "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
            "triton.cudagraphs": False,
        }
        with torch.inference_mode():
            compiled: Any = torch.compile(call, fullgraph=True, dynamic=False, options=options)
            compiled.forward.aot_compile((tuple(tensors), {})).save_compiled_function(str(path))

    def load(self, path: Path, call: nn.Module) -> Compiled:
        with path.open("rb") as file:
            return partial(_run, torch.compiler.load_compiled_function(file), call)


def _run(function: Compiled, call: nn.Module, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Compiled code takes its arguments' layout for granted."""
    return function(call, *(tensor.contiguous() for tensor in tensors))
