"""What the tiers save, and how far their clips are from exact ones.

python -m benchmarks.tiers [--model demo] [--device cpu] [--clips 4] [--rounds 3] [--json FILE]

Each way makes the same clips from the same seeds; ways take turns, so that what else runs on the machine
slows all of them. PSNR and SSIM (https://doi.org/10.1109/TIP.2003.819861, by scikit-image) compare frames
with those of exact, before they are encoded. Seconds are those of prompt, denoising and decoding; on a CPU
those of the processor, all threads together, which other work there does not lengthen.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, median
from time import perf_counter, process_time

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from models.video import VideoCreate, VideoParams
from services.catalogue import Catalogue
from services.catalogue_entry import CatalogueEntry
from services.execution.messages import GeneratorConfig
from services.generation.acceleration.float8 import has_float8
from services.generation.decoding import Frames, decode_frames, frames_per_chunk
from services.generation.loaded_models import LoadedModel, LoadedModels
from services.generation.memory import choose_device
from services.generation.prompts import encode_prompts
from services.generation.sampling import sample
from services.tiers import EXACT, FAST, Tier
from services.validation import complete_params

GUIDANCE_SIGMAS = (0.28, 5.42)
"""The interval that https://arxiv.org/abs/2404.07724, section 4.2, found best for Stable Diffusion XL."""


@dataclass(frozen=True)
class Way:
    """How clips are made: a tier, or a technique by itself with the model's own steps and sampler."""

    name: str
    tier: Tier


@dataclass(frozen=True)
class Row:
    """``seconds`` of one clip, median of all; ``speed_up`` against exact in the same run."""

    name: str
    steps: int
    seconds: float
    speed_up: float
    psnr: float
    ssim: float


def ways(entry: CatalogueEntry, device: torch.device) -> list[Way]:
    """Exact first; then each technique of the fast tier alone; then the other tiers."""
    fast = entry.tier("fast") or FAST
    alone = [
        Way("fewer steps", replace(EXACT, steps=fast.steps, scheduler=fast.scheduler, spacing=fast.spacing)),
        Way("guidance interval", replace(EXACT, guidance_sigmas=fast.guidance_sigmas or GUIDANCE_SIGMAS)),
        Way("DeepCache", replace(EXACT, cache_interval=fast.cache_interval, cache_depth=fast.cache_depth)),
    ]
    if has_float8(device):
        alone.append(Way("8-bit linear layers", replace(EXACT, fp8=True)))
    others = [Way(tier.quality, tier) for tier in entry.tiers if tier.quality != "exact"]
    return [Way("exact", EXACT), *(way for way in alone if way.tier != EXACT), *others]


def measure(
    entry: CatalogueEntry, config: GeneratorConfig, *, clips: int, rounds: int, steps: int | None = None
) -> list[Row]:
    """One row a way.

    Args:
        clips: How many different ones, of the model's example prompts.
        rounds: How often each is made.
        steps: In the place of the model's default number.
    """
    device = choose_device(config.device)
    if steps is not None:
        entry = replace(entry, defaults=replace(entry.defaults, num_inference_steps=steps))
    model = LoadedModels(config, device).load(entry)
    compared = ways(entry, device)
    clock = process_time if device.type == "cpu" else perf_counter
    frames: dict[str, list[Frames]] = {}
    seconds: dict[str, list[float]] = {way.name: [] for way in compared}
    for number in range(rounds + 1):
        for way in compared:
            made = []
            for clip in range(clips):
                started = clock()
                made.append(make_clip(model, way.tier, params_of(entry, way.tier, clip), device))
                if number > 0:  # The first round warms up.
                    seconds[way.name].append(clock() - started)
            frames[way.name] = made
    exact = median(seconds["exact"])
    return [
        Row(
            way.name,
            entry.default_steps(way.tier),
            median(seconds[way.name]),
            exact / median(seconds[way.name]),
            mean(map(psnr, frames["exact"], frames[way.name])),
            mean(map(ssim, frames["exact"], frames[way.name])),
        )
        for way in compared
    ]


def params_of(entry: CatalogueEntry, tier: Tier, clip: int) -> VideoParams:
    """Of the example prompt in turn, with the tier's steps and sampler."""
    prompt = entry.example_prompts[clip % len(entry.example_prompts)]
    asked = VideoCreate(
        prompt=prompt,
        seed=clip,
        num_inference_steps=entry.default_steps(tier),
        scheduler=tier.scheduler or entry.defaults.scheduler,
    )
    return complete_params(asked, entry)


@torch.inference_mode()
def make_clip(model: LoadedModel, tier: Tier, params: VideoParams, device: torch.device) -> Frames:
    embeddings = encode_prompts(
        model.pipe,
        params.prompt,
        params.negative_prompt,
        guidance=params.guidance_scale > 1,
        device=device,
    )
    latents = sample(
        model.pipe,
        embeddings,
        params,
        device=device,
        on_step=lambda step: None,
        is_cancelled=lambda: False,
        denoiser=model.denoisers.of(tier),
        tier=tier,
    )
    chunk = frames_per_chunk(params.height, params.width, pixels=model.placement.decode_pixels)
    return np.concatenate(list(decode_frames(model.pipe, latents, chunk, model.accelerated.decoder)))


def psnr(exact: Frames, ours: Frames) -> float:
    """In dB; infinite for equal frames."""
    if np.array_equal(exact, ours):
        return math.inf
    return float(peak_signal_noise_ratio(exact, ours))  # type: ignore[no-untyped-call]


def ssim(exact: Frames, ours: Frames) -> float:
    """Mean over the frames."""
    pairs = zip(exact, ours, strict=True)
    return mean(
        float(structural_similarity(*pair, channel_axis=-1))  # type: ignore[no-untyped-call]
        for pair in pairs
    )


def table(rows: Sequence[Row]) -> str:
    """In Markdown."""
    lines = ["| way | steps | s a clip | speed-up | PSNR, dB | SSIM |", "|---|---|---|---|---|---|"]
    for row in rows:
        psnr = "identical" if math.isinf(row.psnr) else f"{row.psnr:.1f}"
        lines.append(
            f"| {row.name} | {row.steps} | {row.seconds:.2f} | {row.speed_up:.2f} | {psnr} | {row.ssim:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo", help="a name from the catalogue, or a folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the rows here too")
    arguments = parser.parse_args()
    entry = Catalogue.create(arguments.model).default_entry
    config = GeneratorConfig(device=arguments.device)
    rows = measure(entry, config, clips=arguments.clips, rounds=arguments.rounds)
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
