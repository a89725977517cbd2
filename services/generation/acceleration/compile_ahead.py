"""Compiles one call in a process of its own, so that the worker goes on making clips meanwhile.

    python -m services.generation.acceleration.compile_ahead PARENT FILE < SPEC

Compiling a UNet takes minutes, most of them in Python: on another thread it would take the interpreter from
the one that feeds the device. The result is a file that is loaded in seconds, now and after a restart.
"""

import os
import sys
from typing import Any

import torch
from torch import nn

from services.child_process import die_with_parent
from services.generation.acceleration.compile_spec import CompileSpec

_NICENESS = 10


def compile_call(call: nn.Module, tensors: list[torch.Tensor], path: str) -> None:
    """Compile ``call(*tensors)`` for exactly these shapes to a file, which appears whole or not at all.

    Without guards: who loads it has made sure by ``CompileSpec`` that it fits. Without CUDA graphs, which
    ``CudaGraphs`` records around it.
    """
    options: dict[str, Any] = {
        "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
        "triton.cudagraphs": False,
    }
    with torch.inference_mode():
        compiled: Any = torch.compile(call, fullgraph=True, dynamic=False, options=options)
        compiled.forward.aot_compile((tuple(tensors), {})).save_compiled_function(path)


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    os.nice(_NICENESS)
    call, tensors = CompileSpec.from_json(sys.stdin.read()).build()
    compile_call(call, tensors, sys.argv[2])


if __name__ == "__main__":
    main()
