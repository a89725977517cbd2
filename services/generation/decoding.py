"""Latents to pixels, a few frames at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from services.execution.executor import ExecutionFailed
from services.generation.acceleration.calls import DecodeCall
from services.generation.acceleration.runner import Runner
from services.generation.fetching import Fetch

Frames = npt.NDArray[np.uint8]
"""RGB, ``[T, H, W, 3]``."""

_BLACK = 3
"""A clip whose brightest value is not above this (of 255) is black."""


def frames_per_chunk(height: int, width: int, *, pixels: int) -> int:
    """How many frames are decoded at once so that they hold at most ``pixels``; at least one."""
    return max(1, pixels // (height * width))


class Decoder:
    """A model's VAE, from latents to colours.

    Args:
        runner: Calls it; by default as the pipeline does, with the same numbers.
    """

    def __init__(self, vae: Any, runner: Runner | None = None) -> None:
        self._scale = 1 / vae.config.scaling_factor
        self._call = DecodeCall(vae)
        self._runner = runner or Runner()

    def decode(self, latents: torch.Tensor, chunk: int) -> Iterator[Frames]:
        """Decode ``[1, C, T, h, w]`` in chunks of ``chunk`` frames.

        On CUDA one chunk is copied to the host while the next is decoded.

        Raises:
            ExecutionFailed: ``invalid_output`` when a pixel is not a number, or, after the last chunk, when
                every frame was black.
        """
        brightest = 0
        for frames in self._fetch(latents, chunk):
            brightest = max(brightest, int(frames.max()))
            yield frames
        if brightest <= _BLACK:
            raise ExecutionFailed(
                "invalid_output", "every frame is black; try another seed or T2V_DTYPE=float32"
            )

    def _fetch(self, latents: torch.Tensor, chunk: int) -> Iterator[Frames]:
        by_frame = latents.transpose(1, 2).flatten(0, 1) * self._scale
        waiting: Fetch | None = None
        for part in torch.split(by_frame, chunk):
            inputs = [self._fill_up(part, min(chunk, len(by_frame))).contiguous()]
            pixels, finite = self._runner.choose(self._call, inputs, [])(inputs, [])
            fetch = Fetch(pixels[: len(part)], finite)
            if latents.device.type != "cuda":
                yield _finite(fetch)
                continue
            if waiting is not None:
                yield _finite(waiting)
            waiting = fetch
        if waiting is not None:
            yield _finite(waiting)

    def _fill_up(self, part: torch.Tensor, frames: int) -> torch.Tensor:
        """A last chunk of fewer frames would need a compiled or recorded call of its own."""
        if len(part) == frames or not self._runner.is_bound_to_shapes:
            return part
        return torch.cat([part, part[-1:].expand(frames - len(part), *part.shape[1:])])


def decode_frames(
    pipe: Any, latents: torch.Tensor, chunk: int, decoder: Decoder | None = None
) -> Iterator[Frames]:
    """See ``Decoder.decode``; without a decoder as the pipeline does it."""
    return (decoder or Decoder(pipe.vae)).decode(latents, chunk)


def _finite(fetch: Fetch) -> Frames:
    pixels, finite = fetch.wait()
    if not finite:
        raise ExecutionFailed(
            "invalid_output", "the decoded frames are not finite; T2V_DTYPE=float32 may help"
        )
    frames: Frames = pixels.numpy()
    return frames
