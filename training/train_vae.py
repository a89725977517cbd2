"""Trains the demo's VAE, from a picture to an 8×8 grid of numbers and back: python -m training.train_vae"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from tqdm import tqdm

from training.drawing import POSITIONS, RADII, SHAPES, SIZE, draw_frame, palettes

LATENT_CHANNELS = 8
LATENT_SIZE = SIZE // 8
KL_WEIGHT = 1e-5
EDGE_WEIGHT = 1.0
OBJECT_WEIGHT = 10.0


def build_vae(block_out_channels: tuple[int, ...] = (16, 32, 64, 64)) -> AutoencoderKL:
    """An untrained VAE: float[B, 3, SIZE, SIZE] in -1..1 to float[B, 8, SIZE / 8, SIZE / 8] and back.

    Its latents start with little noise: at the usual deviation of 1 no signal is heard for hundreds of steps.
    Few groups in its norms: with a group for each channel they take away the very colour of a plain picture.
    """
    blocks = len(block_out_channels)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=block_out_channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=SIZE,
        scaling_factor=1.0,
    )
    torch.nn.init.constant_(vae.quant_conv.bias[LATENT_CHANNELS:], -6.0)
    return vae


def to_pixels(frames: np.ndarray) -> torch.Tensor:
    """uint8[B, H, W, 3] to float32[B, 3, H, W] in -1..1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1


def random_frames(rng: np.random.Generator, count: int) -> np.ndarray:
    """Pictures of any shape, colour, background, size and place: uint8[count, SIZE, SIZE, 3]."""
    frames = []
    for _ in range(count):
        colour, background = palettes()[rng.integers(len(palettes()))]
        shape, size = rng.choice(SHAPES), rng.choice(list(RADII))
        x, y = rng.choice(POSITIONS, size=2)
        frames.append(draw_frame(str(shape), colour, background, str(size), int(x), int(y)))
    return np.stack(frames)


def edges(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences between neighbouring columns and rows."""
    return pixels[..., :, 1:] - pixels[..., :, :-1], pixels[..., 1:, :] - pixels[..., :-1, :]


def object_weight(pixels: torch.Tensor) -> torch.Tensor:
    """OBJECT_WEIGHT where a picture is not of its most common colour, else 1: float32[B, 1, H, W]."""
    background = pixels.flatten(2).median(dim=2).values[:, :, None, None]
    return 1 + (OBJECT_WEIGHT - 1) * ((pixels - background).abs().amax(dim=1, keepdim=True) > 0.1)


def vae_loss(vae: AutoencoderKL, pixels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The loss to minimise, and its plain L1 part.

    L1 and squared error on pixels, squared error on their differences (for sharp edges), and a KL term just
    strong enough to keep the latents smooth (Kingma and Welling, 2014; Rombach et al., 2022). The object,
    under a tenth of the picture, weighs as much as its background: else its colour is learnt last.
    """
    posterior = vae.encode(pixels).latent_dist
    decoded = vae.decode(posterior.sample()).sample
    weight = object_weight(pixels)
    l1 = (weight * (decoded - pixels).abs()).mean()
    squared = (weight * (decoded - pixels).square()).mean()
    edge = sum(F.mse_loss(ours, theirs) for ours, theirs in zip(edges(decoded), edges(pixels), strict=True))
    return l1 + squared + EDGE_WEIGHT * edge + KL_WEIGHT * posterior.kl().mean(), l1.item()


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pixels: torch.Tensor) -> None:
    """Fold mean 0 and deviation 1 of each latent channel into the 1×1 convolutions around the latents.

    The pipeline only knows one scaling factor for all channels; so it stays 1.
    """
    latents = vae.encode(pixels).latent_dist.mean
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    to_latents, from_latents = vae.quant_conv, vae.post_quant_conv
    from_latents.bias += from_latents.weight[:, :, 0, 0] @ mean
    from_latents.weight *= deviation[None, :, None, None]
    to_latents.weight[:LATENT_CHANNELS] /= deviation[:, None, None, None]
    to_latents.bias[:LATENT_CHANNELS] = (to_latents.bias[:LATENT_CHANNELS] - mean) / deviation
    to_latents.bias[LATENT_CHANNELS:] -= 2 * deviation.log()


def train_vae(
    steps: int,
    batch_size: int,
    learning_rate: float = 8e-4,
    seed: int = 0,
    start: AutoencoderKL | None = None,
) -> AutoencoderKL:
    """Train for a number of steps, from nothing or from an earlier VAE."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = (start or build_vae()).train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    progress = tqdm(range(steps), desc="VAE")
    for step in progress:
        warmup, decay = min(1.0, (step + 1) / 50), 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.param_groups[0]["lr"] = learning_rate * warmup * max(decay, 0.02)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, l1 = vae_loss(vae, to_pixels(random_frames(rng, batch_size)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{loss.item():.4f}", l1=f"{l1:.4f}")
    vae.eval()
    normalise_latents(vae, to_pixels(random_frames(rng, 512)))
    return vae


@torch.no_grad()
def save_reconstructions(vae: AutoencoderKL, path: Path) -> float:
    """Save pictures above what the VAE makes of them; returns the mean error in 0..255."""
    from PIL import Image

    frames = random_frames(np.random.default_rng(1), 64)
    decoded = vae.decode(vae.encode(to_pixels(frames)).latent_dist.mean).sample
    restored = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    rows = [np.concatenate(list(pictures[:16]), axis=1) for pictures in (frames, restored)]
    Image.fromarray(np.concatenate(rows)).save(path)
    return float(np.abs(frames.astype(int) - restored).mean())


def main() -> None:
    """Train and save to runs/demo/vae."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="folder of a VAE to go on from")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    start = AutoencoderKL.from_pretrained(args.start) if args.start else None
    vae = train_vae(args.steps, args.batch_size, seed=args.seed, start=start)
    vae.save_pretrained(args.run / "vae")
    error = save_reconstructions(vae, args.run / "vae.png")
    print(f"mean error {error:.2f} of 255; pictures in {args.run / 'vae.png'}")


if __name__ == "__main__":
    main()
