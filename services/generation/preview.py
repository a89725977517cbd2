"""Small pictures of a clip in the making, for a small part of the time that it takes."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from io import BytesIO
from time import perf_counter
from typing import Any

import torch
from PIL import Image

MAX_PREVIEW_BYTES = 8192

_LONG_SIDE = 128
_QUALITIES = (80, 40, 10)
_LINEAR_SHARE, _DECODED_SHARE = 0.01, 0.03
_SECONDS_APART = 0.1

# Latents of Stable Diffusion 1's VAE to red, green and blue from -1 to 1, as its users measured them:
# https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204
_STABLE_DIFFUSION_RGB = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)
_STABLE_DIFFUSION_SCALE = 0.18215


@dataclass
class _Cost:
    """Of one picture, as far as it is known."""

    seconds: float | None = None


class Previewer:
    """Shows the middle frame of each clip that a pipeline makes, while it is sampled.

    Latents of Stable Diffusion's VAE, which the reference model and its siblings use, become colours by one
    small matrix, for at most 1% of the time. No matrix fits other VAEs well: these decode the one frame, as
    rarely as keeps it within 3%.

    Args:
        may_decode: Whether the VAE is on the device; fetching it for a picture would take seconds.
    """

    def __init__(self, pipe: Any, device: torch.device, *, may_decode: bool) -> None:
        self._pipe = pipe
        self._device = device
        config = pipe.vae.config
        self._is_linear = config.latent_channels == 4 and config.scaling_factor == _STABLE_DIFFUSION_SCALE
        self._is_able = self._is_linear or may_decode
        self._share = _LINEAR_SHARE if self._is_linear else _DECODED_SHARE
        self._cost = _Cost()
        self.begin()

    def for_one_of(self, clips: int) -> "Previewer":
        """For a clip that is sampled together with others: their pictures cost as much as those of one."""
        previewer = copy(self)
        previewer._share = self._share / clips
        previewer.begin()
        return previewer

    def begin(self) -> None:
        """Another clip: what it may cost is counted anew."""
        self._started = perf_counter()
        self._shown = float("-inf")
        self._spent = 0.0
        self._picture: bytes | None = None

    def offer(self, estimate: Callable[[], torch.Tensor]) -> None:
        """Make a picture if one is due. ``estimate`` gives the middle frame's latents ``[1, C, h, w]``."""
        now = perf_counter()
        if not self._is_able or now - self._shown < _SECONDS_APART:
            return
        if self._spent + (self._cost.seconds or 0.0) > self._share * (now - self._started):
            return
        if self._device.type == "cuda":
            # Otherwise the sampling steps that are still under way would count as the picture's cost.
            torch.cuda.synchronize(self._device)
        began = perf_counter()
        self._picture = _encode(self._pixels(estimate()))
        self._shown = perf_counter()
        cost = self._shown - began
        self._spent += cost
        # The least that one ever took: what a busy machine adds must not keep the next ones away.
        self._cost.seconds = min(cost, self._cost.seconds or cost)

    def take(self) -> bytes | None:
        """The newest picture, as JPEG of at most ``MAX_PREVIEW_BYTES``, once."""
        picture, self._picture = self._picture, None
        return picture

    def _pixels(self, latents: torch.Tensor) -> Image.Image:
        if self._is_linear:
            matrix = torch.tensor(_STABLE_DIFFUSION_RGB, device=latents.device)
            colours = torch.einsum("chw,cd->hwd", latents[0].float(), matrix)
        else:
            vae = self._pipe.vae
            decoded = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor).sample
            colours = decoded[0].permute(1, 2, 0).float()
        pixels = (colours.nan_to_num() * 0.5 + 0.5).clamp(0, 1) * 255
        return Image.fromarray(pixels.round().to(torch.uint8).cpu().numpy())


def estimate_clean(
    scheduler: Any, noisy: torch.Tensor, prediction: torch.Tensor, timestep: torch.Tensor
) -> torch.Tensor:
    """What the model takes the middle frame's latents ``[1, C, h, w]`` to be without their noise, in float32.

    ``noisy`` is the UNet's input ``[1, C, T, h, w]``: every scheduler gives it variance-preserving latents,
    √ᾱ · clean + √(1 − ᾱ) · noise (https://arxiv.org/abs/2010.02502, equation 4). ``v_prediction`` is that of
    https://arxiv.org/abs/2202.00512, appendix D.
    """
    middle = noisy.shape[2] // 2
    noisy, prediction = noisy[:, :, middle].float(), prediction[:, :, middle].float()
    signal: torch.Tensor = scheduler.alphas_cumprod[int(timestep)].to(noisy.device)
    match scheduler.config.prediction_type:
        case "v_prediction":
            return signal.sqrt() * noisy - (1 - signal).sqrt() * prediction
        case "sample":
            return prediction
        case _:
            return (noisy - (1 - signal).sqrt() * prediction) / signal.sqrt()


def _encode(image: Image.Image) -> bytes:
    """JPEG, because it takes a tenth of WebP's time."""
    image.thumbnail((_LONG_SIDE, _LONG_SIDE))
    for quality in _QUALITIES:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality, subsampling=0)
        if buffer.tell() <= MAX_PREVIEW_BYTES:
            break
    return buffer.getvalue()
