"""Trains the demo's UNet on its VAE's latents and its text encoder's captions: python -m training.train_unet

The text encoder goes on learning, ten times slower than the UNet.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from diffusers.training_utils import EMAModel
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from training.captions import describe, vocabulary
from training.checkpoint import build_scheduler, build_unet, save_checkpoint
from training.drawing import NUM_FRAMES, RADII, SIZE, Scene, random_scene
from training.latents import LatentTable
from training.tokenizer import build_tokenizer
from training.train_vae import LATENT_SIZE

CAPTION_DROPOUT = 0.1
"""How often the caption is empty, for classifier-free guidance (Ho and Salimans, 2022)."""

TEXT_ENCODER_SHARE = 0.1
"""The text encoder's learning rate over the UNet's."""

OBJECT_WEIGHT = 5.0
"""How much more an error counts on the object, where the clip has no noise."""


class Trainer:
    """Both networks, their moving average and the optimizer.

    All chance in a step comes from the seed and the step's number; so a run that was cut off and goes on
    from its state makes the same steps.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        latents: LatentTable,
        steps: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        self.vae, self.latents = vae, latents
        self.steps, self.batch_size, self.learning_rate, self.seed = steps, batch_size, learning_rate, seed
        self.step = 0
        self.tokenizer: CLIPTokenizer = build_tokenizer(vocabulary())
        self.text_encoder = text_encoder
        self.unet = build_unet()
        self.scheduler: DDIMScheduler = build_scheduler()
        self.networks = nn.ModuleList([self.text_encoder, self.unet]).train()
        self.ema = EMAModel(self.networks.parameters(), decay=0.999, use_ema_warmup=True, power=3 / 4)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(self.text_encoder.parameters()), "share": TEXT_ENCODER_SHARE},
                {"params": list(self.unet.parameters()), "share": 1.0},
            ],
            lr=learning_rate,
            betas=(0.9, 0.99),
            weight_decay=0.01,
        )

    def train_step(self) -> float:
        """One step of the optimizer; returns its loss."""
        rng = np.random.default_rng([self.seed, self.step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        scenes = [random_scene(rng) for _ in range(self.batch_size)]
        captions = ["" if rng.random() < CAPTION_DROPOUT else describe(scene, rng) for scene in scenes]
        clips = torch.stack([self.latents.clip(scene) for scene in scenes])
        noise = torch.randn(clips.shape, generator=generator)
        timesteps = self._timesteps(generator)

        noisy = self.scheduler.add_noise(clips, noise, timesteps)
        velocity = self.scheduler.get_velocity(clips, noise, timesteps)
        predicted = self.unet(noisy, timesteps, self._embed(captions)).sample
        errors = F.mse_loss(predicted, velocity, reduction="none")
        loss = (errors * self._weights(scenes, timesteps)).mean()

        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self._learning_rate()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self.optimizer.step()
        self.ema.step(self.networks.parameters())
        self.step += 1
        return float(loss.item())

    def _embed(self, captions: list[str]) -> torch.Tensor:
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        embeddings: torch.Tensor = self.text_encoder(tokens.input_ids).last_hidden_state
        return embeddings

    def _weights(self, scenes: list[Scene], timesteps: torch.Tensor) -> torch.Tensor:
        """What an error counts, by place: float32[B, 1, T, 8, 8].

        The object is a tenth of the picture, and its colour would be learnt last. So it counts more, the less
        noise there is; in pure noise, where its place is not decided yet, it counts as all else does.
        """
        signal = self.scheduler.alphas_cumprod[timesteps].sqrt()
        masks = torch.from_numpy(np.stack([object_mask(scene) for scene in scenes]))
        weights: torch.Tensor = 1 + OBJECT_WEIGHT * masks * signal[:, None, None, None, None]
        return weights

    def _timesteps(self, generator: torch.Generator) -> torch.Tensor:
        """One timestep from each share of the noise scale, so that batches differ less in loss.

        Noisy ones come more often: there the clip's content is decided.
        """
        offsets = torch.rand(self.batch_size, generator=generator)
        shares = ((torch.arange(self.batch_size) + offsets) / self.batch_size) ** 0.7
        num_train_timesteps: int = self.scheduler.config.num_train_timesteps
        return (shares * num_train_timesteps).long()

    def _learning_rate(self) -> float:
        """Linear warm-up over 100 steps, then half a cosine down to a hundredth."""
        decay = 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
        return self.learning_rate * min(1.0, (self.step + 1) / 100) * max(decay, 0.01)

    def save(self, run: Path) -> None:
        """Write state.pt, to go on from, and the moving average as a complete checkpoint."""
        state = {"step": self.step, "ema": self.ema.state_dict()}
        state |= {"networks": self.networks.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, run / "state.part")
        (run / "state.part").replace(run / "state.pt")
        self.ema.store(self.networks.parameters())
        self.ema.copy_to(self.networks.parameters())
        save_checkpoint(run / "checkpoint", self.vae, self.tokenizer, self.text_encoder, self.unet)
        self.ema.restore(self.networks.parameters())

    def restore(self, run: Path) -> None:
        """Go on from state.pt."""
        state = torch.load(run / "state.pt", weights_only=True)
        self.step = state["step"]
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load_state_dict(state["ema"])


def object_mask(scene: Scene) -> NDArray[np.float32]:
    """Where the object is on the latents' grid: float32[1, NUM_FRAMES, 8, 8], 0 or 1."""
    cell = SIZE / LATENT_SIZE
    middles = (np.arange(LATENT_SIZE) + 0.5) * cell
    centres = np.array([scene.centre(frame) for frame in range(NUM_FRAMES)])
    columns = middles[None, None, :] - centres[:, 0, None, None]
    rows = middles[None, :, None] - centres[:, 1, None, None]
    inside: NDArray[np.bool_] = np.hypot(columns, rows) < RADII[scene.size] + cell / 2
    return inside[None].astype(np.float32)


def main() -> None:
    """Train to runs/demo/checkpoint; a run that was cut off goes on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-every", type=float, default=150, help="seconds between two snapshots")
    parser.add_argument("--start", type=Path, help="a checkpoint whose UNet to start from")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    vae = AutoencoderKL.from_pretrained(args.run / "vae")
    text_encoder = CLIPTextModel.from_pretrained(args.run / "text_encoder")
    latents = LatentTable.cached(vae, args.run / "latents.pt")
    trainer = Trainer(vae, text_encoder, latents, args.steps, args.batch_size, args.learning_rate, args.seed)
    if args.start:
        trainer.unet.load_state_dict(
            UNet3DConditionModel.from_pretrained(args.start, subfolder="unet").state_dict()
        )
    if (args.run / "state.pt").exists():
        trainer.restore(args.run)
    train(trainer, args.run, args.save_every)


def train(trainer: Trainer, run: Path, save_every: float) -> None:
    """Train to the end, with snapshots on the way and the losses in losses.csv."""
    saved_at, recent = time.monotonic(), []
    with tqdm(total=trainer.steps, initial=trainer.step, desc="UNet") as progress:
        while trainer.step < trainer.steps:
            recent.append(trainer.train_step())
            progress.update()
            if trainer.step % 50 == 0:
                mean = sum(recent) / len(recent)
                progress.set_postfix(loss=f"{mean:.4f}")
                with (run / "losses.csv").open("a") as file:
                    file.write(f"{trainer.step},{mean:.5f}\n")
                recent.clear()
            if time.monotonic() - saved_at > save_every:
                trainer.save(run)
                saved_at = time.monotonic()
    trainer.save(run)


if __name__ == "__main__":
    main()
