"""The denoising loop of text-to-video latent diffusion."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from models.video import VideoParams
from services.execution.executor import ExecutionFailed, GenerationCancelled
from services.generation.acceleration.guidance_interval import guided_calls
from services.generation.denoiser import Denoiser
from services.generation.pacing import Pacer
from services.generation.preview import estimate_clean
from services.generation.prompts import PromptEmbeddings, join_embeddings
from services.generation.schedulers import make_scheduler
from services.tiers import EXACT, Spacing, Tier

Sampled = torch.Tensor | GenerationCancelled | ExecutionFailed
"""A clip's latents ``[1, C, T, H / 8, W / 8]``, or why there are none."""


@dataclass(frozen=True)
class Watch:
    """Who follows the sampling of one clip.

    Attributes:
        on_step: Told the number of finished steps: 0 at the start, ``num_inference_steps`` at the end.
        is_cancelled: Asked before every call of the UNet.
        on_estimate: Given, before each ``on_step`` but the first, a function that computes the middle frame
            without its noise, see ``estimate_clean``.
    """

    on_step: Callable[[int], None]
    is_cancelled: Callable[[], bool]
    on_estimate: Callable[[Callable[[], torch.Tensor]], None] | None = None


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
    tier: Tier = EXACT,
) -> torch.Tensor:
    """Denoise one clip's latents ``[1, C, T, H / 8, W / 8]``; see ``sample_together`` and ``Watch``.

    The same numbers, bit for bit, as ``TextToVideoSDPipeline.__call__``, without its progress bar and with a
    way out before every call of the UNet.

    Raises:
        GenerationCancelled: ``is_cancelled`` answered True.
        ExecutionFailed: ``invalid_output`` when the latents are no longer finite.
    """
    watch = Watch(on_step, is_cancelled, on_estimate)
    (sampled,) = sample_together(
        pipe, [embeddings], [params], [watch], device=device, denoiser=denoiser, tier=tier
    )
    if isinstance(sampled, torch.Tensor):
        return sampled
    raise sampled


def sample_together(
    pipe: Any,
    embeddings: Sequence[PromptEmbeddings],
    params: Sequence[VideoParams],
    watches: Sequence[Watch],
    *,
    device: torch.device,
    denoiser: Denoiser | None = None,
    tier: Tier = EXACT,
) -> list[Sampled]:
    """Denoise the latents of several clips in one batch.

    The clips differ in prompts (of equally many windows), seed and ``guidance_scale`` alone; either all have
    guidance or none. Each has a sampler and a noise of its own and so becomes, within rounding, what it would
    become alone. One that is cancelled leaves the others as they are: its place in the batch stays.

    Guidance is classifier-free (https://arxiv.org/abs/2207.12598); a ``guidance_scale`` of 1 or less has
    none, and ``embeddings`` then hold no negative prompt. The noise is drawn in float32 on the CPU, so that a
    seed means the same noise on every device.

    Args:
        denoiser: Calls the UNet; None for the pipeline's own way.
        tier: Which noise levels the steps visit, and which of them are guided.
    """
    joined = join_embeddings(embeddings)
    samplings = [
        Sampling(pipe, each, device=device, dtype=joined.prompt.dtype, spacing=tier.spacing)
        for each in params
    ]
    guided = guided_calls(samplings[0].scheduler, tier.guidance_sigmas)
    predict = (denoiser or Denoiser(pipe.unet)).begin(joined, _guidance_scale(params, joined.prompt))
    timesteps = samplings[0].timesteps
    # float32 is what the UNet makes of any timestep; one copy, ahead of the loop.
    shown_timesteps = timesteps.to(device, torch.float32)
    steps, order = params[0].num_inference_steps, samplings[0].order
    # Second-order samplers call the UNet twice a step; PNDM's first call is a warm-up.
    warmup = len(timesteps) - steps * order
    pacer = Pacer(device)
    running = dict(enumerate(watches))
    finished = 0
    for watch in watches:
        watch.on_step(finished)
    for index, timestep in enumerate(timesteps):
        running = {number: watch for number, watch in running.items() if not watch.is_cancelled()}
        if not running:
            break
        inputs = torch.cat([each.inputs(timestep) for each in samplings])
        prediction = predict(inputs, shown_timesteps[index], guided=guided[index])
        for number, sampling in enumerate(samplings):
            sampling.step(prediction[number : number + 1], timestep)
        pacer.step()
        is_last = index == len(timesteps) - 1
        if is_last or (index + 1 > warmup and (index + 1) % order == 0):
            finished += 1
            for number, watch in running.items():
                if watch.on_estimate is not None:
                    ours = slice(number, number + 1)
                    watch.on_estimate(
                        partial(
                            estimate_clean,
                            samplings[number].scheduler,
                            inputs[ours],
                            prediction[ours],
                            timestep,
                        )
                    )
                watch.on_step(finished)
    return [
        sampling.result() if number in running else GenerationCancelled()
        for number, sampling in enumerate(samplings)
    ]


class Sampling:
    """One clip between noise and its last step.

    The sampler's timesteps stay on the CPU, whatever the device: it compares them and indexes by them, and
    would wait for the device each time. What still waits: samplers that draw noise (it comes from the CPU),
    and UniPC, which copies its coefficients to the device.
    """

    def __init__(
        self,
        pipe: Any,
        params: VideoParams,
        *,
        device: torch.device,
        dtype: torch.dtype,
        spacing: Spacing = "model",
    ) -> None:
        self._params = params
        self.scheduler = make_scheduler(params.scheduler, pipe.scheduler.config, spacing)
        self.scheduler.set_timesteps(params.num_inference_steps)
        if hasattr(self.scheduler, "set_begin_index"):
            # Otherwise the first step searches its index.
            self.scheduler.set_begin_index(0)
        generator = torch.Generator("cpu").manual_seed(params.seed)
        accepts_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        self._step_options = {"generator": generator} if accepts_generator else {}
        noise = initial_noise(pipe, params, generator)
        self.latents: torch.Tensor = noise.to(device, dtype) * self.scheduler.init_noise_sigma

    @property
    def timesteps(self) -> torch.Tensor:
        timesteps: torch.Tensor = self.scheduler.timesteps
        return timesteps

    @property
    def order(self) -> int:
        """Calls of the UNet in one step."""
        return int(self.scheduler.order)

    def inputs(self, timestep: torch.Tensor) -> torch.Tensor:
        """What the UNet is shown, ``[1, C, T, h, w]``."""
        inputs: torch.Tensor = self.scheduler.scale_model_input(self.latents, timestep)
        return inputs

    def step(self, prediction: torch.Tensor, timestep: torch.Tensor) -> None:
        """One step of the sampler. Frames come first, as in the pipeline: some draw noise in that shape."""
        previous: torch.Tensor = self.scheduler.step(
            prediction.transpose(1, 2).flatten(0, 1),
            timestep,
            self.latents.transpose(1, 2).flatten(0, 1),
            **self._step_options,
        ).prev_sample
        self.latents = previous.unsqueeze(0).transpose(1, 2)

    def result(self) -> torch.Tensor | ExecutionFailed:
        if torch.isfinite(self.latents).all():
            return self.latents
        return ExecutionFailed(
            "invalid_output",
            f"the latents are not finite after {self._params.num_inference_steps} steps; try another "
            "scheduler, more steps, a lower guidance_scale, or T2V_DTYPE=float32",
        )


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


def _guidance_scale(params: Sequence[VideoParams], like: torch.Tensor) -> float | torch.Tensor:
    """The scale of all clips, or a tensor ``[B, 1, 1, 1, 1]`` where they differ."""
    scales = [each.guidance_scale for each in params]
    if len(set(scales)) == 1:
        return scales[0]
    return torch.tensor(scales, device=like.device, dtype=like.dtype).view(-1, 1, 1, 1, 1)
