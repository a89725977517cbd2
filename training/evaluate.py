"""Measures by pixels how well a checkpoint follows its prompts: python -m training.evaluate [FOLDER]

The prompts are held out from training: combinations and wordings never drawn. Each is marked against the
clips generated for it; against those of another prompt of its kind, where the marks should fall; and against
the clip drawn for it, as the VAE leaves it (the most to expect of a UNet) and as it is (the most that the
judge can give).
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from diffusers import TextToVideoSDPipeline
from numpy.typing import NDArray
from tqdm import tqdm

from training.devices import choose
from training.effects import Effects, measure_effects, print_effects
from training.judging.consistency import Consistency
from training.judging.scenes import DEFAULT_PATH, SceneNet, accuracy, load_or_train
from training.judging.tables import (
    Case,
    Score,
    add_up,
    look_at,
    mark,
    print_scores,
    print_steadiness,
    shuffled,
    steadiness,
)
from training.latents import restore
from training.sampling import GUIDANCE, STEPS, generate, load, save_sheet
from training.world.captions import describe
from training.world.clip import draw, random_clip

EFFECT_PROMPTS = 24


def held_out_cases(count: int, seed: int) -> list[Case]:
    """Clips and captions that training never saw."""
    rng = np.random.default_rng([seed, 1])
    clips = [random_clip(rng, held_out=True) for _ in range(count)]
    return [Case(clip, describe(clip, rng, held_out=True)) for clip in clips]


def generate_all(
    pipe: TextToVideoSDPipeline, prompts: list[str], seed: int, batch_size: int, steps: int, guidance: float
) -> list[NDArray[np.uint8]]:
    """A clip uint8[T, S, S, 3] for each prompt; every batch has noise of its own."""
    clips: list[NDArray[np.uint8]] = []
    for start in tqdm(range(0, len(prompts), batch_size), f"seed {seed}, batches"):
        part = prompts[start : start + batch_size]
        clips += list(generate(pipe, part, seed * 100_000 + start, steps, guidance))
    return clips


def seconds_of_one(pipe: TextToVideoSDPipeline, prompt: str, steps: int, guidance: float) -> float:
    """How long a clip takes that is made alone, the second time."""
    started = 0.0
    for _ in range(2):
        started = time.monotonic()
        generate(pipe, [prompt], 0, steps, guidance)
    return time.monotonic() - started


@dataclass(frozen=True)
class Report:
    """All that is measured: the tables' columns by name, and seconds a clip, made alone and in batches."""

    scores: dict[str, dict[str, Score]]
    by_seed: list[dict[str, Score]]
    steadiness: dict[str, Consistency]
    scenes_on_drawn: float
    effects: Effects
    alone: float
    in_batches: float


def evaluate(
    pipe: TextToVideoSDPipeline, net: SceneNet, cases: list[Case], options: argparse.Namespace
) -> tuple[Report, list[NDArray[np.uint8]]]:
    """Generate, judge and compare; also returns the first seed's clips."""
    prompts = [case.caption for case in cases]
    settings = (options.batch_size, options.steps, options.guidance)
    alone = seconds_of_one(pipe, prompts[0], *settings[1:])
    started = time.monotonic()
    clips = [generate_all(pipe, prompts, seed, *settings) for seed in range(options.seeds)]
    in_batches = (time.monotonic() - started) / (len(cases) * options.seeds)

    seen = [look_at(of_seed, net) for of_seed in clips]
    drawings = [draw(case.clip, clips[0][0].shape[1]).frames for case in cases]
    restored = look_at([restore(pipe.vae, torch.from_numpy(each)).numpy() for each in drawings], net)
    drawn = look_at(drawings, net)
    generated = [mark(cases, of_seed) for of_seed in seen]
    strangers = [mark(cases, [of_seed[place] for place in shuffled(cases)]) for of_seed in seen]
    report = Report(
        scores={
            "generated": add_up(list(chain(*generated))),
            "shuffled prompts": add_up(list(chain(*strangers))),
            "drawn, through the VAE": add_up(mark(cases, restored)),
            "drawn": add_up(mark(cases, drawn)),
        },
        by_seed=[add_up(marks) for marks in generated],
        steadiness={
            "generated": steadiness(cases * options.seeds, list(chain(*seen))),
            "drawn, through the VAE": steadiness(cases, restored),
            "drawn": steadiness(cases, drawn),
        },
        scenes_on_drawn=accuracy(net),
        effects=measure_effects(pipe, cases[:EFFECT_PROMPTS], net, options.steps),
        alone=alone,
        in_batches=in_batches,
    )
    return report, clips[0]


def print_report(report: Report) -> None:
    """Print everything as Markdown."""
    print_scores(report.scores)
    shares = [scores["all of one"].share for scores in report.by_seed]
    by_seed = ", ".join(f"{share:.1%}" for share in shares if share is not None)
    print(f"\nAll attributes of a one-object prompt, by seed: {by_seed}.")
    print(f"Sceneries are named by a network that is right on {report.scenes_on_drawn:.1%} of drawn clips.\n")
    print_steadiness(report.steadiness)
    print()
    print_effects(report.effects)
    print(f"- time: {report.alone:.2f} s for a clip alone, {report.in_batches:.2f} s in batches\n")


def main() -> None:
    """Print the tables; save sixteen clips as a sheet, and everything as JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", default=Path("checkpoints/demo"))
    parser.add_argument("--count", type=int, default=300, help="prompts")
    parser.add_argument("--seeds", type=int, default=2, help="clips for each prompt")
    parser.add_argument("--batch-size", type=int, default=25)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--prompt-seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--scenes", type=Path, default=DEFAULT_PATH, help="the network that names sceneries")
    parser.add_argument("--sheet", type=Path, default=Path("runs/evaluation.png"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    device, net = choose(options.device), load_or_train(options.scenes)
    pipe = load(options.checkpoint, device)
    cases = held_out_cases(options.count, options.prompt_seed)
    report, clips = evaluate(pipe, net, cases, options)
    print_report(report)
    size = clips[0].shape[1]
    print(
        f"{options.count} prompts, {options.seeds} seeds, {size}×{size}, {options.steps} steps, "
        f"guidance {options.guidance:g}, batches of {options.batch_size}, on {pipe.device}. Of these a sheet:"
    )
    for case in cases[:16]:
        print(f"- {case.caption}")
    options.sheet.parent.mkdir(parents=True, exist_ok=True)
    save_sheet(np.stack(clips[:16]), options.sheet)
    if options.json:
        settings = {name: str(value) for name, value in vars(options).items()}
        options.json.write_text(json.dumps({"settings": settings, **asdict(report)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
