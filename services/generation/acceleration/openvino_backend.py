"""OpenVINO, for small networks in float32 on a CPU: https://docs.openvino.ai.

It computes what eager does, to the last bits of float32, in two thirds of the time.
"""

import sys
import tempfile
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from services.generation.acceleration.backend import Compiled

_MOST_LOADED = 6
_ARGUMENT = "argument "


class OpenVinoBackend:
    """See ``Backend``.

    The file holds the graph alone: its weights are inputs, which loading binds to those of the call. They
    are laid out anew for the processor, so that each loaded call holds them once more.
    """

    name = "openvino"
    most_loaded = _MOST_LOADED
    loads_aside = True

    @property
    def version(self) -> str:
        return version("openvino")

    @staticmethod
    def is_installed() -> bool:
        return find_spec("openvino") is not None

    def compile(self, call: nn.Module, tensors: list[torch.Tensor], path: Path) -> None:
        openvino = _import_openvino()
        weights = _weights(call)

        def function(*given: torch.Tensor) -> Any:
            bound = dict(zip(weights, given, strict=False))
            return torch.func.functional_call(call, bound, given[len(weights) :])

        with torch.no_grad():
            traced = make_fx(function, tracing_mode="fake")(*weights.values(), *tensors)
        names = [*weights, *(f"{_ARGUMENT}{index}" for index in range(len(tensors)))]
        with tempfile.TemporaryDirectory(dir=path.parent) as name:
            graph, constants, both = (Path(name) / part for part in ("graph.xml", "graph.bin", "both"))
            openvino.serialize(_convert(traced, names), graph, constants)
            with both.open("wb") as file:
                np.savez(file, graph=_bytes(graph), constants=_bytes(constants))
            both.replace(path)

    def load(self, path: Path, call: nn.Module) -> Compiled:
        openvino = _import_openvino()
        core = openvino.Core()
        weights = _weights(call)
        arguments = []
        with np.load(path, allow_pickle=False) as parts:
            model = core.read_model(parts["graph"].tobytes(), parts["constants"].tobytes())
        for parameter in list(model.get_parameters()):
            name = parameter.get_friendly_name()
            if name.startswith(_ARGUMENT):
                arguments.append(int(name.removeprefix(_ARGUMENT)))
                continue
            constant = openvino.op.Constant(weights[name].detach().contiguous().numpy())
            parameter.output(0).replace(constant.output(0))
            model.remove_parameter(parameter)
        model.validate_nodes_and_infer_types()
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                # Other processes, and other workers, use the same cores.
                "ENABLE_CPU_PINNING": False,
            },
        )
        # The call goes with it: its weights are read where they are.
        return partial(_run, compiled.create_infer_request(), arguments, call)


def _run(
    request: Any, arguments: list[int], call: nn.Module, *tensors: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    given = [tensors[index].contiguous().numpy() for index in arguments]
    outputs = request.infer(given, share_inputs=True)
    return tuple(torch.from_numpy(outputs[index]) for index in range(len(outputs)))


def _convert(traced: torch.fx.GraphModule, names: list[str]) -> Any:
    """The graph for OpenVINO, its inputs by these names; without those that nothing depends on."""
    _import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    decoder = TorchFXPythonDecoder(traced)  # must outlive the conversion
    frontend = FrontEndManager().load_by_framework("pytorch")
    model = frontend.convert(frontend.load(decoder))
    placeholders = [node.name for node in traced.graph.nodes if node.op == "placeholder"]
    ours = dict(zip(placeholders, names, strict=True))
    for parameter in model.get_parameters():
        (theirs,) = parameter.get_output_tensor(0).get_names() & ours.keys()
        parameter.set_friendly_name(ours[theirs])
    return model


def _import_openvino() -> Any:
    """The package, without its reports to its makers: it sends one each time it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _weights(call: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(call.named_parameters()), **dict(call.named_buffers())}


def _bytes(path: Path) -> Any:
    return np.fromfile(path, dtype=np.uint8)
