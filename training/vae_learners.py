"""What learns to turn pictures into latents and back: a VAE as a whole, then its encoder or decoder alone."""

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import nn

from services.generation.acceleration.channels_last import use_channels_last
from training.clips import Drawn, frame_pool, to_pixels
from training.devices import mixed_precision
from training.latents import restore
from training.networks import LATENT_CHANNELS
from training.optimizer import MuonAndAdamW
from training.vae_loss import picture_loss, vae_loss

LATENT_NOISE = 0.1
"""Noise on the latents that the decoder learns from, of deviation 1: a UNet's are never quite a picture's."""
DECAY_SHARE = 0.6
"""The share of the steps of a part of a VAE, at the end, in which its learning rate falls."""


class _PictureLearner:
    """What learns from a pool of pictures.

    Args:
        vae: Learns as it is, on the device. Its kernels' channels are laid out innermost: that has a CPU
            make a step in three fifths of the time.
        batch_size: Pictures in a step.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        pool: Drawn,
        steps: int,
        batch_size: int,
        learning_rate: float = 8e-4,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self.step, self.steps, self.batch_size = 0, steps, batch_size
        self.learning_rate, self.seed = learning_rate, seed
        self.device = device or torch.device("cpu")
        self.vae, self.pool = vae.to(self.device), pool
        use_channels_last(self.vae)

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A step's pixels and masks, as the loss takes them; and torch's seed is the step's."""
        rng = np.random.default_rng([self.seed, self.step])
        torch.manual_seed(int(rng.integers(2**62)))
        chosen = torch.from_numpy(rng.integers(len(self.pool[0]), size=self.batch_size))
        frames, masks = (part[chosen].to(self.device) for part in self.pool)
        return to_pixels(frames), masks


class WholeVae(_PictureLearner):
    """Encoder and decoder learn, by AdamW; the learning rate falls as a cosine does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimizer = torch.optim.AdamW(self.vae.parameters(), betas=(0.9, 0.98), weight_decay=0.01)

    def train_step(self) -> float:
        """One step of the optimizer; returns the loss."""
        pixels, masks = self._batch()
        with mixed_precision(self.device):
            loss = vae_loss(self.vae, pixels, masks)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        warmup, decay = min(1.0, (self.step + 1) / 50), 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        self.optimizer.param_groups[0]["lr"] = self.learning_rate * warmup * max(decay, 0.02)
        self.optimizer.step()
        self.step += 1
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from."""
        return {"step": self.step, "vae": self.vae.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.step = state["step"]
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])

    def show(self, run: Path, sample: Path) -> None:
        """Write a sheet of what goes through the VAE."""
        save_reconstructions(self.vae, sample.with_suffix(".png"))


class _PartLearner(_PictureLearner, ABC):
    """One half of a VAE, which learns alone, by Muon; in the end it has its mean weights.

    Args:
        teacher: Whose latents are the right ones; for pictures of its own size, to which others are shrunk.
    """

    def __init__(
        self, part: nn.Module, convolution: nn.Module, teacher: AutoencoderKL, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.teacher = teacher.to(self.device).requires_grad_(False)
        self.learning = nn.ModuleList([part, convolution]).requires_grad_(True)
        self.ema = EMAModel(self.learning.parameters(), decay=0.998, use_ema_warmup=True, power=3 / 4)
        self.optimizer = MuonAndAdamW(part, beside=(convolution,))

    @abstractmethod
    def _loss(self, pixels: torch.Tensor, masks: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """How far the part is from pixels and masks, or from the latents that its teacher sees in them."""

    def train_step(self) -> float:
        """One step of the optimizer; returns the loss."""
        pixels, masks = self._batch()
        with mixed_precision(self.device):
            with torch.no_grad():
                seen = F.interpolate(pixels, size=self.teacher.config.sample_size, mode="area")
                latents = self.teacher.encode(seen).latent_dist.mean
            loss = self._loss(pixels, masks, latents)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.learning.parameters(), 1.0)
        decay = (1 - self.step / self.steps) / DECAY_SHARE
        self.optimizer.step(self.learning_rate * min(1.0, (self.step + 1) / 50, decay))
        self.ema.step(self.learning.parameters())
        self.step += 1
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from."""
        state = {"step": self.step, "part": self.learning.state_dict(), "ema": self.ema.state_dict()}
        return state | {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.step = state["step"]
        self.learning.load_state_dict(state["part"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])

    def finish(self) -> None:
        """Give the part its mean weights."""
        self.ema.copy_to(self.learning.parameters())

    def show(self, run: Path, sample: Path) -> None:
        """Write a sheet of what goes through the VAE with the mean weights."""
        self.ema.store(self.learning.parameters())
        self.finish()
        save_reconstructions(self.vae, sample.with_suffix(".png"))
        self.ema.restore(self.learning.parameters())


class Encoder(_PartLearner):
    """Learns to see in a picture the latents that its teacher sees in the same picture."""

    def __init__(self, vae: AutoencoderKL, teacher: AutoencoderKL, *args: Any, **kwargs: Any) -> None:
        super().__init__(vae.encoder, vae.quant_conv, teacher, vae, *args, **kwargs)

    def _loss(self, pixels: torch.Tensor, masks: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(self.vae.encode(pixels).latent_dist.mean.float(), latents.float())


class Decoder(_PartLearner):
    """Learns to paint pictures from its teacher's latents."""

    def __init__(self, vae: AutoencoderKL, teacher: AutoencoderKL, *args: Any, **kwargs: Any) -> None:
        super().__init__(vae.decoder, vae.post_quant_conv, teacher, vae, *args, **kwargs)

    def _loss(self, pixels: torch.Tensor, masks: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        strength = LATENT_NOISE * torch.rand(len(latents), 1, 1, 1, device=self.device)
        decoded = self.vae.decode(latents + strength * torch.randn_like(latents)).sample
        return picture_loss(decoded, pixels, masks)


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pixels: torch.Tensor) -> None:
    """Fold mean 0 and deviation 1 of each latent channel into the 1×1 convolutions around the latents.

    The pipeline only knows one scaling factor for all channels; so it stays 1.
    """
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in torch.split(pixels, 32)])
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    to_latents, from_latents = vae.quant_conv, vae.post_quant_conv
    from_latents.bias += from_latents.weight[:, :, 0, 0] @ mean
    from_latents.weight *= deviation[None, :, None, None]
    to_latents.weight[:LATENT_CHANNELS] /= deviation[:, None, None, None]
    to_latents.bias[:LATENT_CHANNELS] = (to_latents.bias[:LATENT_CHANNELS] - mean) / deviation
    to_latents.bias[LATENT_CHANNELS:] -= 2 * deviation.log()


@torch.no_grad()
def save_reconstructions(vae: AutoencoderKL, path: Path) -> float:
    """Save pictures above what the VAE makes of them; returns the mean error in 0..255."""
    frames, _ = frame_pool(vae.config.sample_size, 64, seed=1, workers=0)
    restored = restore(vae, frames)
    rows = [
        torch.cat(list(pictures[start : start + 16]), dim=1)
        for start in (0, 16, 32, 48)
        for pictures in (frames, restored)
    ]
    Image.fromarray(torch.cat(rows).numpy()).save(path)
    return float((frames.int() - restored.int()).abs().float().mean())
