"""Clips of one model on one device, made in all ways: what each takes, and how near it comes to the stock."""

import copy
import statistics
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch

from benchmarks import pipelines
from benchmarks.measuring import (
    MIB,
    cosine,
    peak_memory,
    psnr,
    say,
    spread,
    take_turns,
    timed,
)
from benchmarks.pipelines import Way
from benchmarks.roofline import matmul_peak, unet_flops, vae_flops
from models.video import VideoParams
from services.catalogue_entry import CatalogueEntry
from services.execution.messages import GeneratorConfig
from services.generation.acceleration.workshop import Workshop
from services.generation.decoding import Frames
from services.generation.loading import load_pipeline
from services.generation.memory import Placement, choose_device, choose_placement, release_memory
from services.generation.schedulers import make_scheduler

PROMPT = "a red circle moving left"
_SEED = 0


@dataclass
class Row:
    """One way at one shape.

    Attributes:
        first_seconds: Of the first clip, with whatever is compiled or recorded for it.
        memory_bytes: The most that a clip takes beyond the weights.
        cosine, psnr: Of latents and frames to those of the stock pipeline at the same seed.
    """

    way: str
    first_seconds: float
    memory_bytes: int
    cosine: float
    psnr: float
    denoise: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)

    @property
    def clips(self) -> list[float]:
        return [sum(pair) for pair in zip(self.denoise, self.decode, strict=True)]

    @property
    def seconds(self) -> float:
        return statistics.median(self.clips)


@dataclass(frozen=True)
class Work:
    """What one clip takes: calls of the UNet, operations of each and of the VAE; the device's best rate."""

    calls: int
    unet: int
    vae: int
    peak: float

    def columns(self, row: Row, stock: Row) -> dict[str, str]:
        rate = (self.calls * self.unet + self.vae) / row.seconds
        steps = statistics.median(row.denoise) / self.calls
        denoising = self.unet / steps
        return {
            "way": row.way,
            "s a clip": f"{row.seconds:.3f}",
            "± %": f"{100 * spread(row.clips):.1f}",
            "speed-up": f"{stock.seconds / row.seconds:.2f}",
            "ms a step": f"{1000 * steps:.1f}",
            "decode s": f"{statistics.median(row.decode):.3f}",
            "TFLOP/s": f"{rate / 1e12:.3g}",
            "of the peak, denoising %": f"{100 * denoising / self.peak:.1f}",
            "memory MiB": f"{row.memory_bytes / MIB:.0f}",
            "cosine": f"{row.cosine:.6f}",
            "PSNR dB": f"{row.psnr:.1f}",
            "first s": f"{row.first_seconds:.1f}",
        }


def make_params(
    entry: CatalogueEntry, frames: int, height: int, width: int, steps: int | None = None
) -> VideoParams:
    """The model's defaults, but for these."""
    defaults = entry.defaults
    return VideoParams(
        prompt=PROMPT,
        negative_prompt=defaults.negative_prompt,
        width=width,
        height=height,
        num_frames=frames,
        fps=defaults.fps,
        num_inference_steps=steps or defaults.num_inference_steps,
        guidance_scale=defaults.guidance_scale,
        scheduler=defaults.scheduler,
        seed=_SEED,
    )


class Bench:
    """One model on one device."""

    def __init__(self, entry: CatalogueEntry, config: GeneratorConfig) -> None:
        device = choose_device(config.device)
        self.entry = entry
        self.placement: Placement = choose_placement(entry, config, device)
        self.pipe = load_pipeline(entry, self.placement, config)
        self.peak = matmul_peak(device, self.placement.dtype)

    def work(self, params: VideoParams) -> Work:
        scheduler = make_scheduler(params.scheduler, self.pipe.scheduler.config)
        scheduler.set_timesteps(params.num_inference_steps)
        scale, window = self.pipe.vae_scale_factor, self.pipe.tokenizer.model_max_length
        return Work(
            len(scheduler.timesteps),
            unet_flops(self.pipe.unet.config, params, window, scale),
            vae_flops(self.pipe.vae.config, params, scale),
            self.peak,
        )

    def ways(
        self, params: VideoParams, workshop: Workshop, backends: Collection[str], *, every: bool
    ) -> Iterator[tuple[str, Callable[[], Way]]]:
        """Names, and what builds each; stock eager first. All that has changed a pipeline has its own."""
        pipe, place = self.pipe, self.placement
        yield pipelines.STOCK, lambda: pipelines.stock(pipe, params, place)
        yield pipelines.OURS, lambda: pipelines.ours(pipe, params, place)
        turns = list(pipelines.techniques_in_turn(place, backends))
        for name, chosen in turns if every else turns[-1:]:

            def build(name: str = name, chosen: frozenset[str] = chosen) -> Way:
                return pipelines.ours(copy.deepcopy(pipe), params, place, name, chosen, workshop)

            yield name, build
        if not every:
            return
        if place.dtype == torch.float32:
            half = torch.float16 if place.device.type == "cuda" else torch.bfloat16
            name = f"ours eager, {str(half).removeprefix('torch.')}"
            halved = replace(place, dtype=half)
            yield name, lambda: pipelines.ours(copy.deepcopy(pipe).to(half), params, halved, name)
        if "compiled" in backends:
            yield pipelines.COMPILED_STOCK, lambda: pipelines.compiled_stock(pipe, params, place)

    def measure(
        self,
        params: VideoParams,
        workshop: Workshop,
        backends: Collection[str],
        *,
        every: bool,
        rounds: int,
        limit_seconds: float,
    ) -> list[Row]:
        """A row for each way that works; others are told of. Rounds end by ``limit_seconds``, all in all."""
        began = perf_counter()
        rows: list[Row] = []
        turns: dict[str, Callable[[], object]] = {}
        reference: tuple[torch.Tensor, Frames] | None = None
        for name, build in self.ways(params, workshop, backends, every=every):
            if reference is not None and perf_counter() - began > limit_seconds / 2:
                say(f"  {name}: left out, for lack of time")
                continue
            try:
                way = build()
                row, latents, frames = _first_clip(way, self.placement.device, reference)
            except (RuntimeError, torch.OutOfMemoryError) as error:
                # What torch.compile cannot do is a result too.
                say(f"  {name}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
                continue
            reference = reference or (latents, frames)
            rows.append(row)
            turns[f"{name}, denoise"] = way.denoise
            turns[f"{name}, decode"] = lambda way=way, latents=latents: way.decode(latents)  # type: ignore[misc]
            say(f"  {name}: first {row.first_seconds:.1f} s, cosine {row.cosine:.6f}, PSNR {row.psnr:.1f} dB")
        left = limit_seconds - (perf_counter() - began)
        seconds = take_turns(turns, rounds, limit_seconds=left)
        for row in rows:
            row.denoise, row.decode = seconds[f"{row.way}, denoise"], seconds[f"{row.way}, decode"]
        release_memory(self.placement.device)
        return rows


def _first_clip(
    way: Way, device: torch.device, reference: tuple[torch.Tensor, Frames] | None
) -> tuple[Row, torch.Tensor, Frames]:
    """Made twice: what is recorded at the second time is ready then. Its memory is that of the second."""
    first = timed(lambda: way.decode(way.denoise()))
    with peak_memory(device) as most:
        latents = way.denoise()
        frames = way.decode(latents)
        memory = most()
    latents = latents.clone()
    other, others = reference or (latents, frames)
    row = Row(way.name, first, memory, cosine(other, latents), psnr(others, frames))
    return row, latents, frames
