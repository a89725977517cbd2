"""The techniques by name, and which of the exact ones a model gets."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from diffusers import UNet3DConditionModel

from services.generation.acceleration.attention import use_fused_qkv, use_text_attention
from services.generation.acceleration.channels_last import use_channels_last
from services.generation.acceleration.float8 import use_float8
from services.generation.acceleration.temporal_conv import use_temporal_conv
from services.generation.memory import Placement

UNET_TECHNIQUES: Mapping[str, Callable[[Any], None]] = {
    "temporal_conv": use_temporal_conv,
    "channels_last": use_channels_last,
    "fused_qkv": use_fused_qkv,
    "text_attention": use_text_attention,
}
"""What changes the UNet in place, in the order of its application."""

TIER_TECHNIQUES: Mapping[str, Callable[[Any], None]] = {"float8": use_float8}
"""What changes a UNet in place, after the others and not exactly: for tiers that want it."""

CALL_TECHNIQUES = ("cuda_graphs", "compiled")
"""What changes how the UNet is called."""

TECHNIQUES = (*UNET_TECHNIQUES, *CALL_TECHNIQUES)
"""The exact ones."""


def choose_techniques(pipe: Any, placement: Placement, compile_mode: str) -> frozenset[str]:
    """The techniques for one model.

    All of them on CUDA. None on a CPU, where the pipeline's own numbers hold bit for bit and none has been
    measured to win; nor with weights that move between host and device, which they would tie down.

    Args:
        compile_mode: ``auto`` (with CUDA), ``on`` or ``off``.
    """
    if placement.offload != "none" or not isinstance(pipe.unet, UNet3DConditionModel):
        return frozenset()
    on_cuda = placement.device.type == "cuda"
    chosen = {*UNET_TECHNIQUES, "cuda_graphs"} if on_cuda else set()
    if may_compile(compile_mode, placement.device):
        chosen.add("compiled")
    return frozenset(chosen)


def may_compile(compile_mode: str, device: torch.device) -> bool:
    """``auto`` compiles for CUDA alone: what a CPU gains has not been measured to be worth the minutes."""
    return compile_mode == "on" or (compile_mode == "auto" and device.type == "cuda")


def apply_techniques(unet: Any, techniques: Collection[str]) -> None:
    """Change a UNet3DConditionModel in place, as the chosen techniques demand.

    Raises ValueError for an unknown name.
    """
    known = (*TECHNIQUES, *TIER_TECHNIQUES)
    if unknown := sorted(set(techniques) - set(known)):
        raise ValueError(f"unknown techniques {', '.join(unknown)}; known: {', '.join(known)}")
    for name, apply in (*UNET_TECHNIQUES.items(), *TIER_TECHNIQUES.items()):
        if name in techniques:
            apply(unet)
