"""How a step of training changes weights: matrices by Muon, all else by AdamW."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import nn

from services.generation.memory import has_bfloat16
from training.team import Team

SLOWER_SHARE = 0.1
"""The learning rate of networks that go on learning slowly, over the others'."""

_ENDS = ("conv_in.", "conv_out.")
"""Layers between channels and what is outside: their rows are no directions to make alike."""


MOMENTUM = 0.95
WEIGHT_DECAY = 0.01


class Muon(torch.optim.Optimizer):
    """Steps equally long in all directions of a matrix (Jordan et al., "Muon", 2024).

    On the whole they are as long as AdamW's (Liu et al., "Muon is Scalable for LLM Training", 2025): one
    learning rate does for both. torch.optim.Muon makes the same steps, but always works in bfloat16; where a
    processor has none, that takes three times as long as float32. The processes of a team share the work.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], team: Team) -> None:
        super().__init__(matrices, {"lr": 0.0})
        self._team = team

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Change the matrices that have a gradient."""
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            directions = self._team.map(orthogonal, [self._ahead(matrix) for matrix in matrices])
            for matrix, direction in zip(matrices, directions, strict=True):
                matrix.mul_(1 - group["lr"] * WEIGHT_DECAY)
                matrix.add_(direction, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))

    def _ahead(self, matrix: nn.Parameter) -> torch.Tensor:
        """Its gradients' mean with Nesterov's momentum, of the matrix's shape."""
        gradient, state = cast(torch.Tensor, matrix.grad), self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(mean, MOMENTUM)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest matrix whose singular values are all about 1, of the same shape.

    By five Newton-Schulz iterations, whose polynomial is Jordan's: it takes what is small up fast, and leaves
    values of 0.7 to 1.2.
    """
    in_bfloat16 = matrix.is_cuda or has_bfloat16()
    wide = matrix.T if len(matrix) > matrix.shape[1] else matrix
    found = wide.to(torch.bfloat16 if in_bfloat16 else torch.float32)
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(5):
        squared = found @ found.T
        found = torch.addmm(
            found, torch.addmm(squared, squared, squared, beta=-4.775, alpha=2.0315), found, beta=3.4445
        )
    return found.to(matrix.dtype) if wide is matrix else found.T.to(matrix.dtype)


class MuonAndAdamW:
    """Muon for a network's kernels and linear layers; AdamW for its other weights and the networks beside it.

    A kernel of shape [outputs, inputs, ...] is lent to Muon as the matrix [outputs, inputs · ...] over the
    same memory; its columns in another order, where channels are innermost.

    Args:
        beside: Networks that learn at the same rate, by AdamW.
        slower: Networks that learn at SLOWER_SHARE of it, by AdamW.
        team: The processes that make the same steps, by the same gradients.
    """

    def __init__(
        self,
        network: nn.Module,
        beside: Sequence[nn.Module] = (),
        slower: Sequence[nn.Module] = (),
        team: Team | None = None,
    ) -> None:
        kernels = dict(_kernels(network))
        others = [weight for name, weight in network.named_parameters() if name not in kernels]
        self._kernels = list(kernels.values())
        self._matrices = [nn.Parameter(_as_matrix(kernel.detach(), kernel)) for kernel in self._kernels]
        self._muon = Muon(self._matrices, team or Team())
        self._adamw = torch.optim.AdamW(
            [
                {"params": list(nn.ModuleList(slower).parameters()), "share": SLOWER_SHARE},
                {"params": [*others, *nn.ModuleList(beside).parameters()], "share": 1.0},
            ],
            betas=(0.9, 0.99),
            weight_decay=WEIGHT_DECAY,
        )

    def step(self, learning_rate: float) -> None:
        """Change all weights by their gradients, and forget these."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else _as_matrix(kernel.grad, kernel)
            kernel.grad = None
        for group in self._adamw.param_groups:
            group["lr"] = group["share"] * learning_rate
        for group in self._muon.param_groups:
            group["lr"] = learning_rate
        for optimizer in (self._muon, self._adamw):
            optimizer.step()
            optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])


def _kernels(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, weight in network.named_parameters():
        if weight.ndim >= 2 and not name.startswith(_ENDS):
            yield name, weight


def _as_matrix(values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """A kernel's values, or its gradient's, a row for each output, in the order in which the kernel lies."""
    innermost = not kernel.is_contiguous()
    return (values.movedim(1, -1) if innermost else values).flatten(1)
