"""Latents to pixels, a few frames at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from services.execution.executor import ExecutionFailed

Frames = npt.NDArray[np.uint8]
"""RGB, ``[T, H, W, 3]``."""

_BLACK = 3
"""A clip whose brightest value is not above this (of 255) is black."""


def frames_per_chunk(height: int, width: int, *, pixels: int) -> int:
    """How many frames are decoded at once so that they hold at most ``pixels``; at least one."""
    return max(1, pixels // (height * width))


def decode_frames(pipe: Any, latents: torch.Tensor, chunk: int) -> Iterator[Frames]:
    """Decode ``[1, C, T, h, w]`` in chunks of ``chunk`` frames.

    Colours become uint8 on the device: a quarter of the bytes, and rounded as the pipeline's own output is.

    Raises:
        ExecutionFailed: ``invalid_output`` when a pixel is not a number, or, after the last chunk, when every
            frame was black.
    """
    by_frame = latents.transpose(1, 2).flatten(0, 1) * (1 / pipe.vae.config.scaling_factor)
    brightest = 0
    for part in by_frame.split(chunk):
        image = pipe.vae.decode(part.contiguous()).sample.float()
        if not torch.isfinite(image).all():
            raise ExecutionFailed(
                "invalid_output",
                "the decoded frames are not finite; T2V_DTYPE=float32 may help",
            )
        pixels = ((image * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        frames: Frames = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        brightest = max(brightest, int(frames.max()))
        yield frames
    if brightest <= _BLACK:
        raise ExecutionFailed("invalid_output", "every frame is black; try another seed or T2V_DTYPE=float32")
