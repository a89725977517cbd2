"""Trains the demo's VAE, from a picture to a grid of numbers and back: python -m training.train_vae

First the whole, then the decoder alone. A decoder can go on beside the UNet's training or after it, too, for
a UNet sees nothing but latents: python -m training.train_vae --start checkpoints/demo/vae --steps 0
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import nn
from tqdm import tqdm

from training.clips import Drawn, frame_pool, to_pixels
from training.devices import choose, mixed_precision
from training.latents import restore
from training.networks import LATENT_CHANNELS, build_vae
from training.optimizer import MuonAndAdamW

KL_WEIGHT = 1e-5
EDGE_WEIGHT = 1.0
THING_WEIGHT = 10.0
SCENERY_WEIGHT = 3.0
LATENT_NOISE = 0.1
"""Noise on the latents that the decoder learns from, of deviation 1: a UNet's are never quite a picture's."""
DECAY_SHARE = 0.6
"""The share of the decoder's steps, at the end, in which its learning rate falls."""
POOL = 48_000
"""Pictures that are drawn once and trained on again and again."""


def edges(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences between neighbouring columns and rows."""
    return pixels[..., :, 1:] - pixels[..., :, :-1], pixels[..., 1:, :] - pixels[..., :-1, :]


def weights(masks: torch.Tensor) -> torch.Tensor:
    """How much each pixel counts: float32[B, 1, H, W] for masks bool[B, H, W].

    A thing, under a tenth of the picture, weighs as much as its background: else its colour is learnt last.
    In a scenery, where every place is of interest, all count a little more than a plain background does.
    """
    things = F.max_pool2d(masks[:, None].float(), 3, stride=1, padding=1)
    has_things = things.amax(dim=(1, 2, 3), keepdim=True)
    return has_things * (1 + (THING_WEIGHT - 1) * things) + (1 - has_things) * SCENERY_WEIGHT


def picture_loss(
    decoded: torch.Tensor, pixels: torch.Tensor, masks: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """How far decoded pictures are from the pixels that they should be, and the plain L1 part of it.

    L1 and squared error on pixels, and squared error on their differences (for sharp edges).
    """
    weight = weights(masks)
    l1 = (weight * (decoded - pixels).abs()).mean()
    squared = (weight * (decoded - pixels).square()).mean()
    edge = sum(F.mse_loss(ours, theirs) for ours, theirs in zip(edges(decoded), edges(pixels), strict=True))
    return l1 + squared + EDGE_WEIGHT * edge, l1.item()


def vae_loss(vae: AutoencoderKL, pixels: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The loss to minimise, and its plain L1 part.

    The pictures' loss, and a KL term just strong enough to keep the latents smooth (Kingma and Welling, 2014;
    Rombach et al., 2022).
    """
    posterior = vae.encode(pixels).latent_dist
    loss, l1 = picture_loss(vae.decode(posterior.sample()).sample, pixels, masks)
    return loss + KL_WEIGHT * posterior.kl().mean(), l1


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


def train_vae(
    vae: AutoencoderKL,
    pool: Drawn,
    steps: int,
    batch_size: int,
    learning_rate: float = 8e-4,
    seed: int = 0,
    device: torch.device | None = None,
) -> AutoencoderKL:
    """Train for a number of steps on drawn pictures; returns the same VAE, its latents normalised."""
    device = device or torch.device("cpu")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = vae.to(device).train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in (progress := tqdm(range(steps), desc="VAE")):
        warmup, decay = min(1.0, (step + 1) / 50), 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.param_groups[0]["lr"] = learning_rate * warmup * max(decay, 0.02)
        chosen = torch.from_numpy(rng.integers(len(pool[0]), size=batch_size))
        frames, masks = (part[chosen].to(device) for part in pool)
        with mixed_precision(device, on_cpu=True):
            loss, l1 = vae_loss(vae, to_pixels(frames), masks)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{loss.item():.4f}", l1=f"{l1:.4f}")
    vae.eval()
    normalise_latents(vae, to_pixels(pool[0][:: max(1, len(pool[0]) // 512)]).to(device))
    return vae


def train_decoder(
    vae: AutoencoderKL,
    pool: Drawn,
    steps: int,
    batch_size: int,
    learning_rate: float = 8e-4,
    seed: int = 0,
    device: torch.device | None = None,
) -> AutoencoderKL:
    """Let the decoder alone go on for a number of steps; returns the same VAE, with its mean weights.

    The encoder stays as it is, and so does every latent.
    """
    device = device or torch.device("cpu")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = vae.to(device).eval().requires_grad_(False)
    learning = nn.ModuleList([vae.decoder, vae.post_quant_conv]).requires_grad_(True)
    ema = EMAModel(learning.parameters(), decay=0.998, use_ema_warmup=True, power=3 / 4)
    optimizer = MuonAndAdamW(vae.decoder, beside=(vae.post_quant_conv,))
    for step in (progress := tqdm(range(steps), desc="decoder")):
        chosen = torch.from_numpy(rng.integers(len(pool[0]), size=batch_size))
        frames, masks = (part[chosen].to(device) for part in pool)
        pixels = to_pixels(frames)
        with mixed_precision(device, on_cpu=True):
            latents = vae.encode(pixels).latent_dist.mean
            strength = LATENT_NOISE * torch.rand(len(latents), 1, 1, 1, device=device)
            decoded = vae.decode(latents + strength * torch.randn_like(latents)).sample
            loss, l1 = picture_loss(decoded, pixels, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learning.parameters(), 1.0)
        decay = (1 - step / steps) / DECAY_SHARE
        optimizer.step(learning_rate * min(1.0, (step + 1) / 50, decay))
        ema.step(learning.parameters())
        if step % 20 == 0:
            progress.set_postfix(loss=f"{loss.item():.4f}", l1=f"{l1:.4f}")
    ema.copy_to(learning.parameters())
    return vae


def save_reconstructions(vae: AutoencoderKL, size: int, path: Path) -> float:
    """Save pictures above what the VAE makes of them; returns the mean error in 0..255."""
    frames, _ = frame_pool(size, 64, seed=1, workers=0)
    restored = restore(vae, frames)
    rows = [
        torch.cat(list(pictures[start : start + 16]), dim=1)
        for start in (0, 16, 32, 48)
        for pictures in (frames, restored)
    ]
    Image.fromarray(torch.cat(rows).numpy()).save(path)
    return float((frames.int() - restored.int()).abs().float().mean())


def main() -> None:
    """Train and save to runs/demo/vae."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5000, help="of the whole")
    parser.add_argument("--decoder-steps", type=int, default=4000, help="of its decoder alone, after those")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=64, choices=(64, 128))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="folder of a VAE to go on from")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    vae = build_vae(args.size)
    if args.start:
        vae = AutoencoderKL.from_pretrained(args.start, torch_dtype=torch.float32)
    pool, device = frame_pool(args.size, POOL, args.seed), choose(args.device)
    if args.steps:
        vae = train_vae(vae, pool, args.steps, args.batch_size, seed=args.seed, device=device)
    vae = train_decoder(vae, pool, args.decoder_steps, args.batch_size, seed=args.seed, device=device)
    vae.save_pretrained(args.run / "vae")
    error = save_reconstructions(vae, args.size, args.run / "vae.png")
    print(f"mean error {error:.2f} of 255; pictures in {args.run / 'vae.png'}")


if __name__ == "__main__":
    main()
