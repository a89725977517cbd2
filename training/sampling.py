"""Makes clips with a checkpoint, through diffusers' own pipeline."""

from pathlib import Path

import numpy as np
import torch
from diffusers import TextToVideoSDPipeline
from numpy.typing import NDArray
from PIL import Image

from training.networks import NUM_FRAMES

GUIDANCE = 2.5
STEPS = 20


def load(path: Path, device: torch.device | None = None) -> TextToVideoSDPipeline:
    """The checkpoint in float32, silent."""
    pipe = TextToVideoSDPipeline.from_pretrained(path, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device or torch.device("cpu"))


def generate(
    pipe: TextToVideoSDPipeline,
    prompts: list[str],
    seed: int,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    negative_prompt: str = "",
) -> NDArray[np.uint8]:
    """Clips for prompts, of the size that the checkpoint was trained for: uint8[B, T, size, size, 3]."""
    size = pipe.vae.config.sample_size
    frames = pipe(
        prompts,
        num_frames=NUM_FRAMES,
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=guidance,
        negative_prompt=[negative_prompt] * len(prompts),
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).frames
    pixels: NDArray[np.uint8] = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return pixels


def save_sheet(clips: NDArray[np.uint8], path: Path, scale: int = 2) -> None:
    """Save clips as one picture, a clip a row, every second frame."""
    rows = np.concatenate([np.concatenate(list(clip[::2]), axis=1) for clip in clips])
    Image.fromarray(rows.repeat(scale, axis=0).repeat(scale, axis=1)).save(path)
