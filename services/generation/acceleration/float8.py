"""Linear layers in 8 bits: twice the sums a second of half precision, where the card has them.

P. Micikevicius et al., "FP8 Formats for Deep Learning", 2022, https://arxiv.org/abs/2209.05433: E4M3, and a
scale for each tensor that maps its largest magnitude to the format's.
"""

import copy
import logging
from functools import cache
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn.functional import ScalingType, scaled_mm

logger = logging.getLogger(__name__)

_FORMAT = torch.float8_e4m3fn
_LARGEST = torch.finfo(_FORMAT).max
# cuBLAS takes matrices of 8 bits whose rows are whole multiples of 16 bytes.
_ALIGNMENT = 16
_FIRST_CAPABILITY = (8, 9)


@cache
def has_float8(device: torch.device) -> bool:
    """Whether the device multiplies matrices of 8-bit floats, as Ada, Hopper and later ones do."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _FIRST_CAPABILITY:
        return False
    try:
        layer = Float8Linear(nn.Linear(_ALIGNMENT, _ALIGNMENT, device=device, dtype=torch.float16))
        layer(torch.ones(_ALIGNMENT, _ALIGNMENT, device=device, dtype=torch.float16))
    except RuntimeError as error:
        # The fast tier does without, which costs speed alone.
        logger.warning("no 8-bit products on %s: %s", device, str(error).partition("\n")[0])
        return False
    return True


class Float8Linear(nn.Module):
    """``nn.Linear`` whose input and weight are rounded to E4M3; sums and bias are not.

    The weight is rounded once, the input at each call, with scales that stay on the device.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _rounded(linear.weight.detach())
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.bias = linear.bias

    weight: torch.Tensor
    scale: torch.Tensor

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """``[…, in]`` to ``[…, out]``, in the inputs' dtype."""
        rows, scale = _rounded(inputs.reshape(-1, inputs.shape[-1]))
        outputs = scaled_mm(
            rows,
            self.weight.t(),
            scale,
            ScalingType.TensorWise,
            self.scale,
            ScalingType.TensorWise,
            bias=self.bias,
            output_dtype=inputs.dtype,
            use_fast_accum=inputs.is_cuda,
        )
        return outputs.reshape(*inputs.shape[:-1], len(self.weight))


def twin_of(unet: Any) -> Any:
    """The UNet again, which may be changed in place: modules of its own, weights shared with the original."""
    shared = {id(tensor): tensor for tensor in (*unet.parameters(), *unet.buffers())}
    return copy.deepcopy(unet, memo=shared)


def use_float8(unet: Any) -> None:
    """Round the linear layers of a UNet's attention and feed-forward to 8 bits, in place."""
    unused = {id(part) for module in unet.modules() for part in _unused(module)}
    for transformer in [module for module in unet.modules() if hasattr(module, "transformer_blocks")]:
        for parent in list(transformer.transformer_blocks.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and id(child) not in unused and _fits(child):
                    setattr(parent, name, Float8Linear(child))


def _unused(module: nn.Module) -> tuple[nn.Module, ...]:
    """Projections that a fused one stands for."""
    if isinstance(module, Attention) and module.fused_projections:
        return module.to_q, module.to_k, module.to_v
    return ()


def _fits(linear: nn.Linear) -> bool:
    return linear.in_features % _ALIGNMENT == 0 and linear.out_features % _ALIGNMENT == 0


def _rounded(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In 8 bits, and the scale ``[]`` that it must be multiplied by."""
    wide = tensor.float()
    scale = wide.abs().amax().clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
    return (wide / scale).clamp(-_LARGEST, _LARGEST).to(_FORMAT), scale
