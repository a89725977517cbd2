"""Where and in which number format the networks are trained."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from services.generation.memory import has_bfloat16
from services.generation.threads import fit_threads
from training.attention import WrittenOut


def choose(name: str) -> torch.device:
    """``auto`` takes CUDA where there is one; a CPU computes with a thread for each core that may be used."""
    fit_threads()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """bfloat16 on CUDA, and on a CPU that computes in it, where attention is then written out."""
    on_cpu = device.type == "cpu"
    enabled = not on_cpu or has_bfloat16()
    with ExitStack() as contexts:
        contexts.enter_context(torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled))
        if on_cpu and enabled:
            contexts.enter_context(WrittenOut())
        yield
