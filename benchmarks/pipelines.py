"""The ways to make a clip that are compared: the stock pipeline; ours with each technique added in turn."""

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import TextToVideoSDPipeline

from models.video import VideoParams
from services.generation.accelerated import accelerate_with
from services.generation.acceleration.compile_spec import CompileSpec
from services.generation.acceleration.techniques import UNET_TECHNIQUES
from services.generation.acceleration.workshop import Workshop
from services.generation.decoding import Frames, frames_per_chunk
from services.generation.memory import Placement
from services.generation.prompts import encode_prompts
from services.generation.sampling import initial_noise, sample
from services.generation.schedulers import make_scheduler

STOCK, COMPILED_STOCK, OURS = "stock eager", "stock compiled", "ours eager"


@dataclass(frozen=True)
class Way:
    """One way to a clip of fixed prompt and seed.

    Attributes:
        denoise: Prompt to latents ``[1, C, T, h, w]``, without previews.
        decode: Latents to ``uint8[T, H, W, 3]`` in host memory.
    """

    name: str
    denoise: Callable[[], torch.Tensor]
    decode: Callable[[torch.Tensor], Frames]


class PatientWorkshop(Workshop):
    """Compiles when it is asked and is waited for: a benchmark has nothing to do meanwhile."""

    def get(self, spec: CompileSpec) -> Path | None:
        path = self._path(spec)
        if not path.exists() and spec.digest not in self._failed:
            self._compile(spec)
        return path if path.exists() else None


def stock(pipe: TextToVideoSDPipeline, params: VideoParams, placement: Placement, name: str = STOCK) -> Way:
    """diffusers' own pipeline, as its documentation calls it; the noise is ours, so that pictures compare."""
    pipe.scheduler = make_scheduler(params.scheduler, pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    noise = initial_noise(pipe, params, torch.Generator("cpu").manual_seed(params.seed))

    def denoise() -> torch.Tensor:
        latents: torch.Tensor = pipe(
            params.prompt,
            negative_prompt=params.negative_prompt,
            height=params.height,
            width=params.width,
            num_frames=params.num_frames,
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            latents=noise.to(placement.device, placement.dtype),
            generator=torch.Generator("cpu").manual_seed(params.seed),
            output_type="latent",
        ).frames
        return latents

    @torch.no_grad()
    def decode(latents: torch.Tensor) -> Frames:
        video = pipe.decode_latents(latents)
        (frames,) = pipe.video_processor.postprocess_video(video=video, output_type="np")
        return np.asarray((frames * 255).round(), dtype=np.uint8)

    return Way(name, denoise, decode)


def compiled_stock(pipe: TextToVideoSDPipeline, params: VideoParams, placement: Placement) -> Way:
    """As https://huggingface.co/docs/diffusers/optimization/fp16 advises: the UNet compiled as one graph."""
    on_cuda = placement.device.type == "cuda"
    pipe = copy.deepcopy(pipe)
    pipe.unet = torch.compile(pipe.unet, mode="reduce-overhead" if on_cuda else None, fullgraph=True)
    return stock(pipe, params, placement, COMPILED_STOCK)


def ours(
    pipe: TextToVideoSDPipeline,
    params: VideoParams,
    placement: Placement,
    name: str = OURS,
    techniques: frozenset[str] = frozenset(),
    workshop: Workshop | None = None,
) -> Way:
    """The service's own loop with some techniques, which change the pipeline given."""
    accelerated = accelerate_with(pipe, placement, techniques, workshop)
    chunk = frames_per_chunk(params.height, params.width, pixels=placement.decode_pixels)

    @torch.inference_mode()
    def denoise() -> torch.Tensor:
        # What the clip before this had loaded beside it.
        accelerated.wait_until_loaded()
        embeddings = encode_prompts(
            pipe,
            params.prompt,
            params.negative_prompt,
            guidance=params.guidance_scale > 1,
            device=placement.device,
            negatives=accelerated.negatives,
        )
        return sample(
            pipe,
            embeddings,
            params,
            device=placement.device,
            on_step=lambda step: None,
            is_cancelled=lambda: False,
            denoiser=accelerated.denoiser,
        )

    @torch.inference_mode()
    def decode(latents: torch.Tensor) -> Frames:
        return np.concatenate(list(accelerated.decoder.decode(latents, chunk)))

    return Way(name, denoise, decode)


def techniques_in_turn(
    placement: Placement, backends: Collection[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    """Each with all before it, in the registry's order; of those that change the calls, what the device has.

    Args:
        backends: Those of ``BACKENDS`` that may compile. On a CPU each by itself.
    """
    on_cuda = placement.device.type == "cuda"
    chosen: list[str] = []
    for name in (*UNET_TECHNIQUES, "cuda_graphs") if on_cuda else UNET_TECHNIQUES:
        chosen.append(name)
        yield f"+ {name}", frozenset(chosen)
    if "compiled" in backends:
        yield "+ compiled", frozenset({*chosen, "compiled"})
    if "openvino" in backends and not on_cuda and placement.dtype == torch.float32:
        yield "+ openvino", frozenset({*chosen, "openvino"})
