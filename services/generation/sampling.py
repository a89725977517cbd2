"""The denoising loop of text-to-video latent diffusion."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from models.video import VideoParams
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.generation.denoiser import Denoiser
from services.generation.preview import estimate_clean
from services.generation.prompts import PromptEmbeddings
from services.generation.schedulers import make_scheduler


def sample(
    pipe: Any,
    embeddings: PromptEmbeddings,
    params: VideoParams,
    *,
    device: torch.device,
    on_step: Callable[[int], None],
    is_cancelled: Callable[[], bool],
    on_estimate: Callable[[Callable[[], torch.Tensor]], None] | None = None,
    denoiser: Denoiser | None = None,
) -> torch.Tensor:
    """Denoise one clip's latents ``[1, C, T, H / 8, W / 8]``.

    The same numbers, bit for bit, as ``TextToVideoSDPipeline.__call__``, without its progress bar and with a
    way out before every call of the UNet. Guidance is classifier-free (https://arxiv.org/abs/2207.12598); a
    ``guidance_scale`` of 1 or less has none, and ``embeddings`` then hold no negative prompt.

    The noise is drawn in float32 on the CPU, so that a seed means the same noise on every device.

    Args:
        on_step: Told the number of finished steps: 0 at the start, ``num_inference_steps`` at the end.
        on_estimate: Given, before each ``on_step`` but the first, a function that computes the middle frame
            without its noise, see ``estimate_clean``.
        denoiser: Calls the UNet; None for the pipeline's own way.

    Raises:
        GenerationCancelled: ``is_cancelled`` answered True.
        ExecutionFailed: ``invalid_output`` when the latents are no longer finite.
    """
    scheduler = make_scheduler(params.scheduler, pipe.scheduler.config)
    scheduler.set_timesteps(params.num_inference_steps, device=device)
    if hasattr(scheduler, "set_begin_index"):
        # Otherwise the first step searches its index on the device and waits for the answer.
        scheduler.set_begin_index(0)
    generator = torch.Generator("cpu").manual_seed(params.seed)
    accepts_generator = "generator" in inspect.signature(scheduler.step).parameters
    step_options = {"generator": generator} if accepts_generator else {}

    predict = (denoiser or Denoiser(pipe.unet)).begin(embeddings, params.guidance_scale)
    noise = initial_noise(pipe, params, generator)
    latents: torch.Tensor = noise.to(device, embeddings.prompt.dtype) * scheduler.init_noise_sigma
    timesteps = scheduler.timesteps
    # Second-order samplers call the UNet twice a step; PNDM's first call is a warm-up.
    warmup = len(timesteps) - params.num_inference_steps * scheduler.order
    finished = 0
    on_step(finished)
    for index, timestep in enumerate(timesteps):
        if is_cancelled():
            raise GenerationCancelled
        inputs = scheduler.scale_model_input(latents, timestep)
        prediction = predict(inputs, timestep)
        latents = _step(scheduler, prediction, timestep, latents, step_options)
        is_last = index == len(timesteps) - 1
        if is_last or (index + 1 > warmup and (index + 1) % scheduler.order == 0):
            finished += 1
            if on_estimate is not None:
                on_estimate(partial(estimate_clean, scheduler, inputs, prediction, timestep))
            on_step(finished)
    if not torch.isfinite(latents).all():
        raise ExecutionFailed(
            "invalid_output",
            f"the latents are not finite after {params.num_inference_steps} steps; try another scheduler, "
            "more steps, a lower guidance_scale, or T2V_DTYPE=float32",
        )
    return latents


def initial_noise(pipe: Any, params: VideoParams, generator: torch.Generator) -> torch.Tensor:
    """Standard normal noise ``[1, C, T, H / 8, W / 8]``, float32, on the CPU."""
    scale = pipe.vae_scale_factor
    shape = (
        1,
        pipe.unet.config.in_channels,
        params.num_frames,
        params.height // scale,
        params.width // scale,
    )
    return torch.randn(shape, generator=generator)


def _step(
    scheduler: Any,
    prediction: torch.Tensor,
    timestep: torch.Tensor,
    latents: torch.Tensor,
    options: dict[str, torch.Generator],
) -> torch.Tensor:
    """One scheduler step. Frames come first, as in the pipeline: some samplers draw noise in that shape."""
    previous: torch.Tensor = scheduler.step(
        prediction.transpose(1, 2).flatten(0, 1), timestep, latents.transpose(1, 2).flatten(0, 1), **options
    ).prev_sample
    return previous.unsqueeze(0).transpose(1, 2)
