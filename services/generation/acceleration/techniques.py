"""The techniques by name, and which of the exact ones a model gets."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from diffusers import UNet3DConditionModel

from services.generation.acceleration.attention import use_fused_qkv, use_text_attention
from services.generation.acceleration.channels_last import use_channels_last
from services.generation.acceleration.float8 import use_float8
from services.generation.acceleration.openvino_backend import OpenVinoBackend
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

CALL_TECHNIQUES = ("cuda_graphs", "compiled", "openvino")
"""What changes how the UNet is called."""

TECHNIQUES = (*UNET_TECHNIQUES, *CALL_TECHNIQUES)
"""The exact ones."""

_MOST_FOR_OPENVINO = 2**30
"""Bytes of weights. It holds them a second time, and with larger networks it was not measured."""


def choose_techniques(pipe: Any, placement: Placement, compile_mode: str) -> frozenset[str]:
    """The techniques for one model.

    What changes the network: on CUDA, and on a CPU for small models in float32. There calls are recorded and
    compiled by torch, here compiled by OpenVINO. None with weights that move between host and device, which
    they would tie down.

    Args:
        compile_mode: ``auto``, ``on`` (on a CPU torch.compile, where ``openvino`` does not suit) or ``off``.
    """
    if placement.offload != "none" or not isinstance(pipe.unet, UNet3DConditionModel):
        return frozenset()
    if placement.device.type == "cuda":
        chosen = {*UNET_TECHNIQUES, "cuda_graphs"}
        return frozenset(chosen if compile_mode == "off" else {*chosen, "compiled"})
    if compile_mode == "off":
        return frozenset()
    if _suits_openvino(pipe.unet, placement):
        return frozenset({*UNET_TECHNIQUES, "openvino"})
    return frozenset({"compiled"} if compile_mode == "on" else ())


def _suits_openvino(unet: Any, placement: Placement) -> bool:
    weights = sum(each.nbytes for each in unet.parameters())
    in_float32 = placement.dtype == torch.float32
    return in_float32 and weights <= _MOST_FOR_OPENVINO and OpenVinoBackend.is_installed()


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
