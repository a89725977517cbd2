"""Trains the demo's VAE, from a picture to a grid of numbers and back: python -m training.train_vae

First one for small pictures. Then it is grown to the clips' size: its encoder learns to see what the small
one sees, and its decoder to paint four times as many pixels from it. So a UNet that was taught on the small
one's latents, or on those of a VAE grown of it, serves for both, and both can be trained anew after it:
python -m training.train_vae --start FOLDER
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from tqdm import tqdm

from training.clips import frame_pool, to_pixels
from training.devices import choose
from training.networks import SIZE, SMALL, build_vae, grow
from training.teaching import teach
from training.vae_learners import Decoder, Encoder, WholeVae, normalise_latents, save_reconstructions

POOL = 48_000
"""Pictures that are drawn once and trained on again and again."""


def main() -> None:
    """Train to runs/demo/small_vae and runs/demo/vae; a run that was cut off goes on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5000, help="of the small one")
    parser.add_argument("--encoder-steps", type=int, default=1500, help="of the grown one's encoder")
    parser.add_argument("--decoder-steps", type=int, default=5000, help="of the grown one's decoder")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=120, help="seconds between two snapshots")
    parser.add_argument("--start", type=Path, help="folder of a small VAE that is there already")
    parser.add_argument("--run", type=Path, default=Path("runs/demo"))
    args = parser.parse_args()
    device = choose(args.device)
    small = args.run / "small_vae"
    if args.start:
        _save(AutoencoderKL.from_pretrained(args.start, torch_dtype=torch.float32), small)
    elif not small.exists():
        train_small(args, device)
    train_grown(args, AutoencoderKL.from_pretrained(small), device)


def train_small(args: argparse.Namespace, device: torch.device) -> None:
    """Train a VAE for small pictures, from nothing, to runs/demo/small_vae."""
    torch.manual_seed(args.seed)
    pool = frame_pool(SMALL, POOL, args.seed)
    whole = WholeVae(build_vae(SMALL), pool, args.steps, args.batch_size, seed=args.seed, device=device)
    teach(whole, args.run, "small_vae", args.save_every)
    normalise_latents(whole.vae, to_pixels(pool[0][:: max(1, len(pool[0]) // 512)]).to(device))
    _save(whole.vae, args.run / "small_vae")


def train_grown(args: argparse.Namespace, small: AutoencoderKL, device: torch.device) -> None:
    """Grow a VAE and train the two halves of what it is now, to runs/demo/vae."""
    torch.manual_seed(args.seed)
    vae, pool = grow(small), frame_pool(SIZE, POOL, args.seed)
    for half, name, steps in (
        (Encoder, "encoder", args.encoder_steps),
        (Decoder, "decoder", args.decoder_steps),
    ):
        learner = half(vae, small, pool, steps, args.batch_size, seed=args.seed, device=device)
        teach(learner, args.run, name, args.save_every)
        learner.finish()
    _save(vae, args.run / "vae")
    error = save_reconstructions(vae, args.run / "samples" / "vae.png")
    tqdm.write(f"mean error of the VAE: {error:.2f} of 255")


def _save(vae: AutoencoderKL, folder: Path) -> None:
    vae.to(memory_format=torch.contiguous_format).save_pretrained(folder)


if __name__ == "__main__":
    main()
