"""Draws numbered training clips, side by side on all cores."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from services.generation.threads import cores
from training.networks import NUM_FRAMES
from training.world.clip import Clip, draw, labels, random_clip

Drawn = tuple[torch.Tensor, torch.Tensor]

SHARES = (0.41, 0.38, 0.21)
"""How often a training clip is of one thing, of two, of a scenery: two things are the hardest to learn."""
KEPT = 0.55
"""How often a clip that is not slow is kept, as slow ones are: their error tells less of their motion."""

FRAMES_OF_EACH = 2
"""So few frames of a clip go into a pool of pictures: what teaches most is other things in other places."""


class DrawnClips(Dataset[Drawn]):
    """Clip after clip, each drawn when it is asked for; the same seed and number give the same clip.

    Args:
        frames: Keep so many frames of each, by chance and in order.
    """

    def __init__(self, count: int, size: int, seed: int, frames: int = NUM_FRAMES) -> None:
        self.count, self.size, self.seed, self.frames = count, size, seed, frames

    def __len__(self) -> int:
        return self.count

    def clip(self, index: int) -> Clip:
        """What clip ``index`` shows."""
        rng = np.random.default_rng([self.seed, index])
        one_kind = tuple(rng.multinomial(1, SHARES))
        while True:
            clip = random_clip(rng, shares=one_kind)
            if labels(clip)["speed"] == "slow" or rng.random() < KEPT:
                return clip

    def __getitem__(self, index: int) -> Drawn:
        """Frames uint8[frames, size, size, 3]; and where its things are, bool[frames, size, size]."""
        drawing = draw(self.clip(index), self.size, NUM_FRAMES)
        rng = np.random.default_rng([self.seed, index, 1])
        kept = np.sort(rng.choice(NUM_FRAMES, self.frames, replace=False))
        return torch.from_numpy(drawing.frames[kept]), torch.from_numpy(drawing.mask[kept])

    def batches(self, batch_size: int, workers: int | None = None) -> Iterator[list[torch.Tensor]]:
        """All clips in order, ``batch_size`` at a time, drawn by so many processes (None: one a core)."""
        workers = math.ceil(cores()) if workers is None else workers
        return iter(DataLoader(self, batch_size=batch_size, num_workers=workers))


def frame_pool(size: int, count: int, seed: int, workers: int | None = None) -> Drawn:
    """Pictures to train a VAE on, FRAMES_OF_EACH of every clip: uint8[count, size, size, 3], and
    bool[count, size, size].
    """
    clips = DrawnClips(-(-count // FRAMES_OF_EACH), size, seed, FRAMES_OF_EACH)
    pictures, masks = [], []
    for frames, mask in clips.batches(16, workers):
        # Copies: what a worker process hands over keeps a file open for as long as it is held.
        pictures.append(frames.flatten(0, 1).clone())
        masks.append(mask.flatten(0, 1).clone())
    return torch.cat(pictures)[:count], torch.cat(masks)[:count]


def to_pixels(frames: torch.Tensor) -> torch.Tensor:
    """uint8[B, H, W, 3] to float32[B, 3, H, W] in -1..1."""
    return frames.permute(0, 3, 1, 2).float() / 127.5 - 1
