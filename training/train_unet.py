"""Trains the demo's UNet on its VAE's latents and its text encoder's captions: python -m training.train_unet

First on single pictures, which cost a sixteenth of a clip and teach it what words look like; then on clips
too, which teach it what moves (Ho et al., "Video Diffusion Models", 2022, train on both together). The text
encoder goes on learning, ten times slower than the UNet. The latents are those of the VAE for small pictures,
drawn and encoded in a quarter of the time; the VAE for large ones paints from the same.

Several processes do it faster on a CPU (``training.team``), and make the same steps, but for rounding.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler
from diffusers.training_utils import EMAModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from services.generation.acceleration.calls import UNetCall
from services.generation.acceleration.techniques import apply_techniques
from training.checkpoint import save_checkpoint
from training.clips import FRAMES_OF_EACH, DrawnClips
from training.devices import choose, mixed_precision
from training.heads import Heads
from training.latents import Latents
from training.networks import NUM_FRAMES, SMALL, build_scheduler, build_unet, is_over_time
from training.optimizer import MuonAndAdamW
from training.progress import save_samples
from training.teaching import teach
from training.team import Team
from training.tokenizer import build_tokenizer
from training.world.captions import describe, vocabulary
from training.world.clip import Clip

CAPTION_DROPOUT = 0.1
"""How often the caption is empty, for classifier-free guidance (Ho and Salimans, 2022)."""

THING_WEIGHT = 5.0
"""How much more an error counts on a thing, where the clip has no noise."""

PICTURE_STEPS = 1500
"""So many steps are made of pictures alone, before the first clip."""
PICTURE_SHARE = 0.3
"""How often a step is made of pictures after that: it tells 128 captions, a step of clips sixteen."""

BATCH_SIZE = 16
"""Clips in a step of all processes."""

HEADS_WEIGHT = 0.3
"""What the heads' error counts beside the UNet's."""

DECAY_SHARE = 0.2
"""The share of the steps, at the end, in which the learning rate falls."""


@dataclass(frozen=True)
class Batch:
    """Latents float32[B, 8, F, h, w], masks float32[B, 1, F, h, w], what they show and how it is said.

    F is 1 in a batch of pictures, else NUM_FRAMES. B is a process's part of the batch.
    """

    latents: torch.Tensor
    masks: torch.Tensor
    clips: list[Clip]
    captions: list[str]
    of_pictures: bool


class Trainer:
    """Both networks, their moving average and the optimizer.

    Once there have been clips, pictures change nothing that looks along time: there is no time in them, and
    Muon makes long steps also of gradients that say little.

    All chance in a step comes from the seed and the step's number; so a run that was cut off and goes on
    from its state makes the same steps. Every process draws it for the whole batch and keeps its part, so the
    steps do not depend on how many there are.

    Args:
        vae: Paints what the UNet makes, in samples and in the checkpoint.
        latents: What the steps of clips learn from.
        pictures: What the steps of pictures learn from; frames of other clips, the more the better.
        batch_size: Clips in a step of all processes; or eight times as many pictures.
        team: The processes that make the steps together.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        latents: Latents,
        pictures: Latents,
        steps: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
        device: torch.device | None = None,
        team: Team | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.vae, self.latents, self.pictures = vae, latents, pictures
        self.steps, self.batch_size, self.learning_rate, self.seed = steps, batch_size, learning_rate, seed
        self.device = device or torch.device("cpu")
        self.team = team or Team()
        self.step = 0
        self.tokenizer: CLIPTokenizer = build_tokenizer(vocabulary())
        self.text_encoder = text_encoder.to(self.device)
        self.unet = build_unet().to(self.device)
        # The same sums and gradients in four fifths of the time.
        apply_techniques(self.unet, ("temporal_conv", "text_attention"))
        self.predict = UNetCall(self.unet, text_attention=True)
        self.scheduler: DDIMScheduler = build_scheduler()
        self.networks = nn.ModuleList([self.text_encoder, self.unet]).train()
        self._over_time = [weight for name, weight in self.unet.named_parameters() if is_over_time(name)]
        self.heads = Heads(self.unet.config.block_out_channels[-1]).to(self.device)
        self.ema = EMAModel(self.networks.parameters(), decay=0.999, use_ema_warmup=True, power=3 / 4)
        self.optimizer = MuonAndAdamW(
            self.unet, beside=(self.heads,), slower=(self.text_encoder,), team=self.team
        )

    def train_step(self) -> float:
        """One step of the optimizer; returns the loss of this process's part."""
        rng = np.random.default_rng([self.seed, self.step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = self._batch(rng)
        count, ours = self.team.size * len(batch.clips), self.team.part
        noise = torch.randn(count, *batch.latents.shape[1:], generator=generator)[ours].to(self.device)
        timesteps = self._timesteps(count, generator)[ours].to(self.device)

        noisy = self.scheduler.add_noise(batch.latents, noise, timesteps)
        velocity = self.scheduler.get_velocity(batch.latents, noise, timesteps)
        with mixed_precision(self.device), self.heads.listen(self.unet):
            text = self.predict.read(self._embed(batch.captions))
            (predicted,) = self.predict(noisy, timesteps, *text)
        errors = F.mse_loss(predicted.float(), velocity, reduction="none")
        loss = total = (errors * self._weights(batch.masks, timesteps)).mean()
        if not batch.of_pictures:
            told = [caption != "" for caption in batch.captions]
            total = loss + HEADS_WEIGHT * self.heads.loss(batch.clips, told)

        total.backward()  # type: ignore[no-untyped-call]
        if batch.of_pictures and self.step >= PICTURE_STEPS:
            for weight in self._over_time:
                weight.grad = None
        self.team.average([*self.networks.parameters(), *self.heads.parameters()])
        nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self.optimizer.step(self._learning_rate())
        self.ema.step(self.networks.parameters())
        self.step += 1
        return float(loss.item())

    def _batch(self, rng: np.random.Generator) -> Batch:
        pictures = self.step < PICTURE_STEPS or rng.random() < PICTURE_SHARE
        count = 8 * self.batch_size if pictures else self.batch_size
        source = self.pictures if pictures else self.latents
        indices = torch.from_numpy(rng.integers(len(source), size=count))
        frames = torch.arange(NUM_FRAMES).expand(count, -1)
        if pictures:
            frames = torch.from_numpy(rng.integers(source.frames, size=(count, 1)))
        clips = [source.clip(int(index)) for index in indices]
        captions = ["" if rng.random() < CAPTION_DROPOUT else describe(clip, rng) for clip in clips]
        ours = self.team.part
        return Batch(*source.batch(indices[ours], frames[ours]), clips[ours], captions[ours], pictures)

    def _embed(self, captions: list[str]) -> torch.Tensor:
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        embeddings: torch.Tensor = self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state
        return embeddings

    def _weights(self, masks: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """What an error counts, by place: float32[B, 1, F, h, w].

        A thing is a tenth of the picture, and its colour would be learnt last. So it counts more, the less
        noise there is; in pure noise, where its place is not decided yet, it counts as all else does.
        """
        signal = self.scheduler.alphas_cumprod.to(self.device)[timesteps].sqrt()
        weights: torch.Tensor = 1 + THING_WEIGHT * masks * signal[:, None, None, None, None]
        return weights

    def _timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """One timestep from each share of the noise scale, so that batches differ less in loss."""
        shares = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        num_train_timesteps: int = self.scheduler.config.num_train_timesteps
        return (shares * num_train_timesteps).long()

    def _learning_rate(self) -> float:
        """Linear warm-up over 100 steps; constant; then linear down to a hundredth.

        A run whose rate has not fallen yet can be made longer at no loss (Hu et al., "MiniCPM", 2024).
        """
        decay = (self.steps - self.step) / (DECAY_SHARE * self.steps)
        return self.learning_rate * min(1.0, (self.step + 1) / 100, max(decay, 0.01))

    def state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` goes on from."""
        state = {"step": self.step, "ema": self.ema.state_dict()}
        state |= {"networks": self.networks.state_dict(), "optimizer": self.optimizer.state_dict()}
        return state | {"heads": self.heads.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self.step = state["step"]
        self.networks.load_state_dict(state["networks"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load_state_dict(state["ema"])

    def show(self, run: Path, sample: Path) -> None:
        """Write the moving average as a complete checkpoint, and a sheet of what it makes."""
        self.ema.store(self.networks.parameters())
        self.ema.copy_to(self.networks.parameters())
        save_checkpoint(run / "checkpoint", self.vae, self.tokenizer, self.text_encoder, self.unet)
        self.ema.restore(self.networks.parameters())
        save_samples(run / "checkpoint", sample.with_suffix(".png"))


def main() -> None:
    """Train to runs/demo/checkpoint; a run that was cut off goes on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=13_500)
    parser.add_argument("--clips", type=int, default=24_000, help="encoded once; and as many for pictures")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=600, help="seconds between two snapshots")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    device, team = choose(args.device), Team.join()
    if args.batch_size % team.size:
        parser.error(f"--batch-size {args.batch_size} cannot be parted among {team.size} processes")
    vae, small_vae = (AutoencoderKL.from_pretrained(args.run / name) for name in ("vae", "small_vae"))
    text_encoder = CLIPTextModel.from_pretrained(args.run / "text_encoder")
    if not team.leads:
        team.wait()  # until all clips are encoded, and read them then
    clips = DrawnClips(args.clips, SMALL, args.seed)
    latents = Latents.cached(small_vae, args.run / "latents.pt", clips, device)
    of_pictures = DrawnClips(args.clips, SMALL, args.seed + 1, FRAMES_OF_EACH)
    pictures = Latents.cached(small_vae, args.run / "pictures.pt", of_pictures, device)
    if team.leads:
        team.wait()
    trainer = Trainer(
        vae,
        text_encoder,
        latents,
        pictures,
        args.steps,
        args.batch_size,
        args.learning_rate,
        args.seed,
        device,
        team,
    )
    teach(trainer, args.run, "unet", args.save_every, team.leads)
    team.leave()


if __name__ == "__main__":
    main()
