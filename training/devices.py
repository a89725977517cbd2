"""Where and in which number format the networks are trained."""

from contextlib import AbstractContextManager

import torch

from services.generation.memory import has_bfloat16
from services.generation.threads import fit_threads


def choose(name: str) -> torch.device:
    """``auto`` takes CUDA where there is one; a CPU computes with a thread for each core that may be used."""
    fit_threads()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def mixed_precision(device: torch.device, *, on_cpu: bool) -> AbstractContextManager[None]:
    """bfloat16 on CUDA; and on a CPU that computes in it, for networks that gain by it."""
    enabled = device.type == "cuda" or (on_cpu and has_bfloat16())
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
