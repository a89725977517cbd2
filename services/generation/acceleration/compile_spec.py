"""What is to be compiled, as data: enough to build it in another process, and to know its result again."""

import hashlib
import importlib
import json
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

import diffusers
import torch
from torch import nn

from services.generation.acceleration.backends import BACKENDS
from services.generation.acceleration.techniques import apply_techniques
from services.generation.memory import free_bytes

_LEFT_BYTES = 4 * 2**30


@dataclass(frozen=True)
class CompileSpec:
    """One call with tensors of certain shapes.

    Attributes:
        backend: Which of ``BACKENDS`` compiles it.
        call: ``module:Class`` of the call, see ``calls.py``; it is given the network and ``options``.
        options: Its other arguments, as JSON.
        network: Name of the diffusers class.
        config: Its configuration, as JSON.
        techniques: What was applied to the network.
        device: Where it runs.
        tensors: Number format and shape of each argument.
        structure: Digest of the network's modules and parameters, see ``describe_structure``.
    """

    backend: str
    call: str
    options: str
    network: str
    config: str
    techniques: tuple[str, ...]
    device: str
    tensors: tuple[tuple[str, tuple[int, ...]], ...]
    structure: str

    @cached_property
    def digest(self) -> str:
        """Differs wherever a compiled result would not fit: also by versions, processor and our own code."""
        versions = [torch.__version__, diffusers.__version__, BACKENDS[self.backend].version]
        parts = [self.to_json(), _processor(torch.device(self.device)), *versions, _own_code()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        tensors = tuple((dtype, tuple(shape)) for dtype, shape in fields["tensors"])
        return cls(**fields | {"techniques": tuple(fields["techniques"]), "tensors": tensors})

    def build(self) -> tuple[nn.Module, list[torch.Tensor]]:
        """The call with weights of any values, and tensors to call it with.

        Raises:
            ValueError: the result is not what was described.
            MemoryError: the device has no room for it beside a clip in the making.
        """
        module, _, name = self.call.partition(":")
        dtype = getattr(torch, self.tensors[0][0])
        with torch.device("meta"):
            network = getattr(diffusers, self.network).from_config(json.loads(self.config))
        network = network.to(dtype)
        _require_memory(network, torch.device(self.device))
        network = network.to_empty(device=self.device).eval().requires_grad_(False)
        apply_techniques(network, self.techniques)
        call = getattr(importlib.import_module(module), name)(network, **json.loads(self.options))
        if describe_structure(call) != self.structure:
            raise ValueError(f"{self.network} was changed by more than the techniques {self.techniques}")
        with torch.device(self.device):
            tensors = [torch.zeros(shape, dtype=getattr(torch, dtype)) for dtype, shape in self.tensors]
        return call, tensors


def describe_call(
    call: Any, techniques: tuple[str, ...], structure: str, tensors: list[torch.Tensor], backend: str
) -> CompileSpec:
    kind = type(call)
    config = {name: value for name, value in call.network.config.items() if not name.startswith("_")}
    return CompileSpec(
        backend=backend,
        call=f"{kind.__module__}:{kind.__qualname__}",
        options=json.dumps(call.options, sort_keys=True),
        network=type(call.network).__name__,
        config=json.dumps(config, sort_keys=True),
        techniques=techniques,
        device=str(tensors[0].device),
        tensors=tuple((str(each.dtype).removeprefix("torch."), tuple(each.shape)) for each in tensors),
        structure=structure,
    )


def describe_structure(call: nn.Module) -> str:
    """Digest of what compiled code takes for granted of a module: its parts, their parameters' layout."""
    parts = [f"{name} {type(part).__name__}" for name, part in call.named_modules()]
    parameters = [
        f"{name} {each.dtype} {tuple(each.shape)} {each.stride()}" for name, each in call.named_parameters()
    ]
    return hashlib.sha256("\n".join([*parts, *parameters]).encode()).hexdigest()


def _require_memory(network: nn.Module, device: torch.device) -> None:
    weights = sum(each.numel() * each.element_size() for each in network.parameters())
    if device.type == "cuda" and free_bytes(device) < weights + _LEFT_BYTES:
        raise MemoryError(f"{device} has no room for its weights beside a clip in the making")


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability()


@cache
def _own_code() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
