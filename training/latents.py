"""Encodes once every picture that occurs in any clip, so that a training clip costs a look-up."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from tqdm import tqdm

from training.drawing import (
    NUM_FRAMES,
    POSITIONS,
    RADII,
    SHAPES,
    STEP,
    Scene,
    draw_frame,
    every_frame,
    palettes,
)
from training.train_vae import LATENT_CHANNELS, LATENT_SIZE, to_pixels


class LatentTable:
    """The latents of all pictures: float16[shapes, palettes, sizes, x, y, 8, 8, 8], about 55 MB."""

    def __init__(self, table: torch.Tensor) -> None:
        self.table = table

    @classmethod
    def cached(cls, vae: AutoencoderKL, path: Path) -> "LatentTable":
        """Read the table from a file; encode it first, and write it, where there is none."""
        if not path.exists():
            torch.save(encode_all(vae), path)
        return cls(torch.load(path, weights_only=True))

    def clip(self, scene: Scene) -> torch.Tensor:
        """A clip's latents: float32[8, NUM_FRAMES, 8, 8], channels first as the UNet wants them."""
        pictures = self.table[
            SHAPES.index(scene.shape),
            palettes().index((scene.colour, scene.background)),
            list(RADII).index(scene.size),
        ]
        centres = [scene.centre(frame) for frame in range(NUM_FRAMES)]
        columns, rows = (
            [(value - POSITIONS[0]) // STEP for value in axis] for axis in zip(*centres, strict=True)
        )
        return pictures[columns, rows].float().transpose(0, 1)


@torch.no_grad()
def encode_all(vae: AutoencoderKL, batch_size: int = 121) -> torch.Tensor:
    """Draw and encode every picture; see LatentTable for the result's shape."""
    arguments = list(every_frame())
    batches = []
    for start in tqdm(range(0, len(arguments), batch_size), desc="latents"):
        frames = np.stack([draw_frame(*look) for look in arguments[start : start + batch_size]])
        batches.append(vae.encode(to_pixels(frames)).latent_dist.mean.half())
    places = (len(POSITIONS), len(POSITIONS))
    return torch.cat(batches).view(
        len(SHAPES), len(palettes()), len(RADII), *places, LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE
    )
