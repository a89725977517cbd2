"""Convolutions along time alone, computed as two-dimensional ones."""

import torch
from torch import nn
from torch.nn import functional


class TemporalConv(nn.Module):
    """``nn.Conv3d`` with a kernel of (3, 1, 1), as a Conv2d over (time, height × width).

    The same weights under the same names and shapes, and the same sums; libraries have faster kernels for
    two dimensions.
    """

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.weight = conv.weight
        self.bias = conv.bias
        self.padding = (int(conv.padding[0]), 0)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """``[B, C, T, H, W]`` to ``[B, C', T, H, W]``."""
        weight, padding = self.weight.squeeze(-1), self.padding
        if hidden_states.shape[2] == 1:  # Before and after a lone frame there is nothing.
            weight, padding = weight[:, :, 1:2], (0, 0)
        flat = functional.conv2d(hidden_states.flatten(3), weight, self.bias, padding=padding)
        return flat.reshape(*flat.shape[:3], *hidden_states.shape[3:])


def use_temporal_conv(unet: nn.Module) -> None:
    """Replace each (3, 1, 1) Conv3d of a UNet3DConditionModel's temporal layers, in place."""
    for parent in list(unet.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv3d) and _is_temporal(child):
                setattr(parent, name, TemporalConv(child))


def _is_temporal(conv: nn.Conv3d) -> bool:
    plain = conv.stride == (1, 1, 1) and conv.dilation == (1, 1, 1) and conv.groups == 1
    return plain and conv.kernel_size == (3, 1, 1) and conv.padding == (1, 0, 0)
