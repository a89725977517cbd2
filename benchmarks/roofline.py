"""How much there is to compute, and how fast the device multiplies matrices at best."""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import timed
from models.video import VideoParams

_REPEATS = 10


def matmul_peak(device: torch.device, dtype: torch.dtype, size: int | None = None) -> float:
    """FLOP/s of the best of ten products of square matrices, measured now.

    Args:
        size: Rows; by default 8192 on CUDA and 1024 on a CPU.
    """
    size = size or (8192 if device.type == "cuda" else 1024)
    repeats = 20 if device.type == "cuda" else 1
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        for _ in range(repeats):
            left @ right

    multiply()
    return 2 * size**3 * repeats / min(timed(multiply) for _ in range(_REPEATS))


def unet_flops(config: Mapping[str, Any], params: VideoParams, window: int, latent_scale: int) -> int:
    """Floating-point operations of one call for one clip, guidance included: counted, nothing is computed.

    Args:
        config: The UNet's.
        window: Tokens of the text.
        latent_scale: Pixels of a latent's side.
    """
    with torch.device("meta"):
        empty = UNet3DConditionModel.from_config(config)
        batch = 2 if params.guidance_scale > 1 else 1
        side = params.height // latent_scale, params.width // latent_scale
        latents = torch.empty(batch, config["in_channels"], params.num_frames, *side)
        text = torch.empty(batch, window, config["cross_attention_dim"])
        timestep = torch.empty((), dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty(latents, timestep, encoder_hidden_states=text)
    return int(counter.get_total_flops())


def vae_flops(config: Mapping[str, Any], params: VideoParams, latent_scale: int) -> int:
    """Of decoding all frames of one clip."""
    with torch.device("meta"):
        empty = AutoencoderKL.from_config(config)
        side = params.height // latent_scale, params.width // latent_scale
        latents = torch.empty(1, config["latent_channels"], *side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty.decode(latents)
    return int(counter.get_total_flops()) * params.num_frames
