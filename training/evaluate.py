"""Measures by pixels how well a checkpoint follows its prompts: python -m training.evaluate [FOLDER]"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from diffusers import TextToVideoSDPipeline
from numpy.typing import NDArray
from PIL import Image

from training.captions import describe
from training.drawing import NUM_FRAMES, SIZE, Scene, draw_clip, random_scene
from training.judge import judge

ATTRIBUTES = ("colour", "shape", "direction", "background")


def load(path: Path) -> TextToVideoSDPipeline:
    """The checkpoint in float32, silent."""
    pipe = TextToVideoSDPipeline.from_pretrained(path, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generate(
    pipe: TextToVideoSDPipeline, prompts: list[str], seed: int, steps: int = 20, guidance: float = 4.0
) -> NDArray[np.uint8]:
    """Clips for prompts: uint8[B, NUM_FRAMES, SIZE, SIZE, 3]."""
    frames = pipe(
        prompts,
        num_frames=NUM_FRAMES,
        height=SIZE,
        width=SIZE,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).frames
    pixels: NDArray[np.uint8] = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return pixels


def random_prompts(count: int, seed: int) -> tuple[list[Scene], list[str]]:
    """Scenes and their captions, other than those of training, whose seeds have two parts."""
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng) for _ in range(count)]
    return scenes, [describe(scene, rng) for scene in scenes]


def scores(scenes: list[Scene], clips: Iterable[NDArray[np.uint8]]) -> dict[str, float]:
    """The share of clips that show each attribute of their scenes, and all of them at once."""
    verdicts = [judge(clip) for clip in clips]
    right = np.array(
        [
            [getattr(verdict, name) == getattr(scene, name) for name in ATTRIBUTES]
            for scene, verdict in zip(scenes, verdicts, strict=True)
        ]
    )
    table = {name: float(share) for name, share in zip(ATTRIBUTES, right.mean(axis=0), strict=True)}
    return table | {"all four": float(right.all(axis=1).mean())}


def print_table(columns: dict[str, dict[str, float]]) -> None:
    """Print scores as a Markdown table, one column for each kind of clip."""
    print("| judged by pixels | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in (*ATTRIBUTES, "all four"):
        print(f"| {name} | " + " | ".join(f"{column[name]:.0%}" for column in columns.values()) + " |")


def save_sheet(clips: NDArray[np.uint8], path: Path, scale: int = 2) -> None:
    """Save clips as one picture, a clip a row."""
    rows = np.concatenate([np.concatenate(list(clip), axis=1) for clip in clips])
    Image.fromarray(rows.repeat(scale, axis=0).repeat(scale, axis=1)).save(path)


def main() -> None:
    """Print the table; save sixteen clips as a sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=Path("checkpoints/demo"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=25)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", type=Path, default=Path("runs/sheet.png"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    pipe = load(args.checkpoint)
    scenes, prompts = random_prompts(args.count, args.seed)
    started = time.monotonic()
    batches = [
        generate(pipe, prompts[start : start + args.batch_size], start, args.steps, args.guidance)
        for start in range(0, args.count, args.batch_size)
    ]
    clips = np.concatenate(batches)
    seconds = (time.monotonic() - started) / args.count
    shuffled = list(np.roll(clips, 1, axis=0))
    print_table(
        {
            "generated": scores(scenes, clips),
            "shuffled prompts": scores(scenes, shuffled),
            "drawn": scores(scenes, [draw_clip(scene) for scene in scenes]),
        }
    )
    print(f"\n{args.count} clips, {args.steps} steps, guidance {args.guidance}, {seconds:.2f} s each")
    args.sheet.parent.mkdir(exist_ok=True)
    save_sheet(clips[:16], args.sheet)
    for prompt in prompts[:16]:
        print(f"- {prompt}")


if __name__ == "__main__":
    main()
