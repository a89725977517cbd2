"""After a device ran out of memory: the largest smaller clip that it can make."""

from collections.abc import Iterator
from typing import Any

import torch

from models.video import VideoParams
from services.catalogue_entry import Limits, Range
from services.generation.decoding import frames_per_chunk
from services.generation.memory import Placement, is_out_of_memory, release_memory

_SCALES = ((1.0, 0.5), (0.75, 0.75), (0.75, 0.5), (0.5, 0.5), (0.5, 0.25), (0.25, 0.25))


def smaller_sizes(params: VideoParams, limits: Limits) -> Iterator[VideoParams]:
    """A few smaller clips within the limits, the largest first."""
    seen = {(params.width, params.height, params.num_frames)}
    for side, frames in _SCALES:
        width = _scaled(params.width, side, limits.width)
        height = _scaled(params.height, side, limits.height)
        num_frames = _scaled(params.num_frames, frames, limits.num_frames)
        if (width, height, num_frames) not in seen:
            seen.add((width, height, num_frames))
            yield params.model_copy(update={"width": width, "height": height, "num_frames": num_frames})


def fits(pipe: Any, params: VideoParams, placement: Placement) -> bool:
    """Whether one UNet call and one chunk of VAE decoding of that size succeed: tried, not guessed."""
    try:
        _try_size(pipe, params, placement)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        fitted = False
    else:
        fitted = True
    release_memory(placement.device)
    return fitted


def _try_size(pipe: Any, params: VideoParams, placement: Placement) -> None:
    device, dtype = placement.device, placement.dtype
    height, width = params.height // pipe.vae_scale_factor, params.width // pipe.vae_scale_factor
    batch = 2 if params.guidance_scale > 1 else 1
    channels = pipe.unet.config.in_channels
    window, features = pipe.tokenizer.model_max_length, pipe.unet.config.cross_attention_dim
    latents = torch.zeros(batch, channels, params.num_frames, height, width, device=device, dtype=dtype)
    context = torch.zeros(batch, window, features, device=device, dtype=dtype)
    with torch.inference_mode():
        pipe.unet(latents, torch.tensor(1, device=device), encoder_hidden_states=context)
        chunk = frames_per_chunk(params.height, params.width, pixels=placement.decode_pixels)
        frames = min(chunk, params.num_frames)
        pipe.vae.decode(torch.zeros(frames, channels, height, width, device=device, dtype=dtype))


def _scaled(value: int, scale: float, limits: Range) -> int:
    steps = int((value * scale - limits.minimum) // limits.multiple_of)
    return limits.minimum + max(0, steps) * limits.multiple_of
