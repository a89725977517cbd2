"""Weights of convolutions in the order that tensor cores read: channels innermost."""

import torch
from torch import nn

from services.generation.acceleration.temporal_conv import TemporalConv


def use_channels_last(module: nn.Module) -> None:
    """Lay out each convolution by itself, in place; activations follow their weights.

    ``module.to(memory_format=torch.channels_last)`` as a whole raises on five-dimensional weights.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        elif isinstance(part, nn.Conv3d | TemporalConv):
            part.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
