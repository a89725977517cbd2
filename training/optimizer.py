"""How a step of training changes weights: matrices by Muon, all else by AdamW.

Muon makes a step equally long in all directions of a matrix (Jordan et al., "Muon", 2024), and on the whole
as long as AdamW's (Liu et al., "Muon is Scalable for LLM Training", 2025): one learning rate does for both.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

SLOWER_SHARE = 0.1
"""The learning rate of networks that go on learning slowly, over the others'."""

_ENDS = ("conv_in.", "conv_out.")
"""Layers between channels and what is outside: their rows are no directions to make alike."""


class MuonAndAdamW:
    """Muon for a network's kernels and linear layers; AdamW for its other weights and the networks beside it.

    Torch's Muon takes matrices alone. So a kernel of shape [outputs, inputs, ...] is lent to it as the matrix
    [outputs, inputs · ...] over the same memory; its columns in another order, where channels are innermost.

    Args:
        beside: Networks that learn at the same rate, by AdamW.
        slower: Networks that learn at SLOWER_SHARE of it, by AdamW.
    """

    def __init__(
        self, network: nn.Module, beside: Sequence[nn.Module] = (), slower: Sequence[nn.Module] = ()
    ) -> None:
        kernels = dict(_kernels(network))
        others = [weight for name, weight in network.named_parameters() if name not in kernels]
        self._kernels = list(kernels.values())
        self._matrices = [nn.Parameter(_as_matrix(kernel.detach(), kernel)) for kernel in self._kernels]
        self._muon = torch.optim.Muon(self._matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self._adamw = torch.optim.AdamW(
            [
                {"params": list(nn.ModuleList(slower).parameters()), "share": SLOWER_SHARE},
                {"params": [*others, *nn.ModuleList(beside).parameters()], "share": 1.0},
            ],
            betas=(0.9, 0.99),
            weight_decay=0.01,
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
            optimizer.step()  # type: ignore[no-untyped-call]
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
