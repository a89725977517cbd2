"""Encodes drawn clips once, so that a training clip costs a look-up; and back, to see what is left."""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from tqdm import tqdm

from training.clips import DrawnClips, to_pixels
from training.devices import mixed_precision
from training.networks import GRID
from training.world.clip import Clip

_CLIPS_AT_ONCE = 8


class Latents:
    """The latents of many clips, or of some frames of each, on the device that trains.

    Attributes:
        values: float16[N, T, 8, h, w].
        masks: bool[N, T, h, w], true in the cells that a thing touches.
        frames: T.
    """

    def __init__(self, values: torch.Tensor, masks: torch.Tensor, clips: DrawnClips) -> None:
        self.values, self.masks, self._clips = values, masks, clips
        self.frames = values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def clip(self, index: int) -> Clip:
        """What clip ``index`` shows."""
        return self._clips.clip(index)

    def batch(self, indices: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Some frames of some clips, channels first as the UNet wants them.

        Args:
            indices: int64[B], which clips.
            frames: int64[B, F], which of each clip's frames.

        Returns:
            float32[B, 8, F, h, w], and float32[B, 1, F, h, w] of 0 and 1.
        """
        rows = indices[:, None]
        values = self.values[rows, frames].float().transpose(1, 2)
        return values, self.masks[rows, frames][:, None].float()

    @classmethod
    def cached(cls, vae: AutoencoderKL, path: Path, clips: DrawnClips, device: torch.device) -> "Latents":
        """Read them from a file; draw and encode first, and write it, where there is none."""
        if not path.exists():
            values, masks = encode(vae, clips, device)
            torch.save({"values": values, "masks": masks}, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
        stored = torch.load(path, weights_only=True, mmap=True)
        return cls(stored["values"].to(device), stored["masks"].to(device), clips)


@torch.no_grad()
def encode(vae: AutoencoderKL, clips: DrawnClips, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw and encode every clip; see Latents for the results' shapes."""
    vae = vae.to(device).eval()
    values, masks = [], []
    total = -(-len(clips) // _CLIPS_AT_ONCE)
    for frames, mask in tqdm(clips.batches(_CLIPS_AT_ONCE), total=total, desc="latents"):
        with mixed_precision(device):
            means = vae.encode(to_pixels(frames.flatten(0, 1).to(device))).latent_dist.mean
        values.append(means.half().cpu().unflatten(0, frames.shape[:2]))
        masks.append(F.adaptive_max_pool2d(mask.float(), GRID).bool())
    return torch.cat(values), torch.cat(masks)


@torch.no_grad()
def restore(vae: AutoencoderKL, frames: torch.Tensor) -> torch.Tensor:
    """What a VAE leaves of pictures uint8[B, size, size, 3]: the same shape, on the CPU."""
    decoded = vae.decode(vae.encode(to_pixels(frames).to(vae.device)).latent_dist.mean).sample
    levels: torch.Tensor = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte()
    return levels.permute(0, 2, 3, 1).cpu()
