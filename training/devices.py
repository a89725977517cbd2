"""Where and in which number format the networks are trained."""

from contextlib import AbstractContextManager

import torch


def choose(name: str) -> torch.device:
    """``auto`` takes CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def mixed_precision(device: torch.device, *, on_cpu: bool) -> AbstractContextManager[None]:
    """bfloat16 for what bears it: on CUDA always, on a CPU only for networks that gain by it."""
    enabled = on_cpu or device.type == "cuda"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
