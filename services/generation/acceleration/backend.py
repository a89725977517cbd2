"""What turns a call into faster code: one backend for each kind of device."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

Compiled = Callable[..., tuple[torch.Tensor, ...]]
"""Takes and gives the tensors of the call that was compiled."""


class Backend(Protocol):
    """Compiles in one process, loads in another.

    Attributes:
        name: Also that of the technique.
        most_loaded: Of how many calls the results are held in memory; the least recently used go first.
        loads_aside: Whether results are loaded on a thread of their own, while calls go on as they are.
    """

    name: str
    most_loaded: int
    loads_aside: bool

    @property
    def version(self) -> str:
        """Results of other versions do not fit."""

    def compile(self, call: nn.Module, tensors: list[torch.Tensor], path: Path) -> None:
        """Compile ``call(*tensors)`` for exactly these shapes to a file, which appears whole or not at all.

        The weights may be of any values.
        """

    def load(self, path: Path, call: nn.Module) -> Compiled:
        """What was compiled, with the weights of ``call``. Raises any error where the file does not fit."""
