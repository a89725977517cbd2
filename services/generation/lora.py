"""Low-rank changes of a UNet's weights, added to them once: W + s · α / r · B A.

E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, https://arxiv.org/abs/2106.09685,
section 4.1. diffusers loads none into a ``UNet3DConditionModel``: that class lacks ``load_lora_adapter``.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

_PREFIXES = re.compile(r"^(base_model\.model\.|unet\.|lora_unet_)+")
_PARTS = re.compile(r"^(?P<layer>.+?)\.lora[._](?P<half>A|B|down|up)\.weight$")
_BEYOND = ("alpha_pattern", "use_rslora", "use_dora", "lora_bias")


class InvalidLora(ValueError):
    """The file does not fit the UNet. The message names what does not."""


def merge_lora(unet: nn.Module, path: Path, scale: float = 1.0) -> None:
    """Add the changes in a safetensors file, as peft, diffusers or kohya's scripts write it, in place.

    Raises:
        InvalidLora: The file changes a layer that the UNet does not have, or one of another shape, or it
            lacks a half of a change.
        safetensors.SafetensorError: It is damaged, or of another format.
    """
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        usual = _usual_alpha(file.metadata() or {})
    halves: dict[str, dict[str, torch.Tensor]] = {}
    alphas: dict[str, float] = {}
    for name, tensor in tensors.items():
        if name.endswith(".alpha"):
            alphas[_layer_name(name.removesuffix(".alpha"))] = float(tensor)
            continue
        match = _PARTS.match(name)
        if match is None:
            raise InvalidLora(f"{name} is no part of a LoRA")
        half = "down" if match["half"] in ("A", "down") else "up"
        halves.setdefault(_layer_name(match["layer"]), {})[half] = tensor
    layers = _layers(unet)
    # All are looked at first: a file that is refused has changed nothing.
    changes = [
        (*_change(layers, name, parts), scale * _strength(parts, alphas.get(name, usual)))
        for name, parts in halves.items()
    ]
    for weight, change, strength in changes:
        weight.data.add_(change.to(weight.device, weight.dtype), alpha=strength)


def _usual_alpha(metadata: dict[str, str]) -> float | None:
    """α of all layers, where peft's settings stand in the file; None: as large as r."""
    written: dict[str, Any] = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    settings = {name.removeprefix("unet."): value for name, value in written.items()}
    if beyond := [name for name in _BEYOND if settings.get(name)]:
        raise InvalidLora(f"it is made with {', '.join(beyond)}, which is more than W + α / r · B A")
    alpha = settings.get("lora_alpha")
    return None if alpha is None else float(alpha)


def _layer_name(name: str) -> str:
    """The same for all ways to write it: kohya's scripts put underscores for dots."""
    return _PREFIXES.sub("", name).replace(".", "_")


def _layers(unet: nn.Module) -> dict[str, Any]:
    return {
        _layer_name(name): module
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d)
    }


def _change(
    layers: dict[str, Any], name: str, parts: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's weight, and B A in its shape."""
    if len(parts) < 2:
        raise InvalidLora(f"{name} has one half of a change alone")
    if name not in layers:
        raise InvalidLora(f"the UNet has no layer {name}")
    weight = layers[name].weight
    up, down = parts["up"].float().flatten(1), parts["down"].float().flatten(1)
    if up.shape[1] != len(down) or (len(up), down.shape[1]) != (len(weight), weight[0].numel()):
        shapes = f"{tuple(up.shape)} · {tuple(down.shape)}"
        raise InvalidLora(f"{name} is of shape {tuple(weight.shape)}, and its change of {shapes}")
    return weight, (up @ down).reshape(weight.shape)


def _strength(parts: dict[str, torch.Tensor], alpha: float | None) -> float:
    return 1.0 if alpha is None else alpha / len(parts["down"])
