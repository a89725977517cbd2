"""A trainer of networks with a few channels, and a few of its steps made by several processes:

python -m torch.distributed.run --standalone --nproc-per-node 2 -m -- tests.toy_training FOLDER
"""

import sys
from pathlib import Path

import torch

from training import devices, networks
from training.clips import DrawnClips
from training.latents import Latents
from training.networks import (
    LATENT_CHANNELS,
    NUM_FRAMES,
    SIZE,
    SMALL,
    Widths,
    build_text_encoder,
    build_vae,
)
from training.team import Team
from training.tokenizer import build_tokenizer
from training.train_unet import PICTURE_STEPS, Trainer
from training.world.captions import vocabulary

NARROW = Widths(vae=(8, 8, 8, 8), unet=(16, 16))
"""Networks of the same build with a few channels."""


def make_trainer(team: Team | None = None) -> Trainer:
    """A trainer whose clips all show the same noise, and whose pictures show its negative."""
    torch.manual_seed(0)
    picture = torch.randn((LATENT_CHANNELS, 8, 8)).half()
    values = picture.expand(4, NUM_FRAMES, LATENT_CHANNELS, 8, 8)
    masks = torch.zeros((4, NUM_FRAMES, 8, 8), dtype=torch.bool)
    latents = Latents(values, masks, DrawnClips(4, SMALL, 0))
    pictures = Latents(-values[:, :2], masks[:, :2], DrawnClips(4, SMALL, 1, 2))
    text_encoder = build_text_encoder(build_tokenizer(vocabulary()))
    return Trainer(
        build_vae(SIZE).eval(),
        text_encoder,
        latents,
        pictures,
        steps=1000,
        batch_size=2,
        learning_rate=5e-2,
        seed=0,
        team=team,
    )


def make_steps(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The UNet's weights after some steps of pictures and of clips."""
    trainer.step = PICTURE_STEPS
    for _ in range(3):
        trainer.train_step()
    return trainer.unet.state_dict()


def main() -> None:
    """Save the weights that each process has in the end, by its rank."""
    networks.WIDTHS = NARROW
    devices.has_bfloat16 = lambda: False  # whose rounding differs with the number of processes
    team = Team.join()
    weights = make_steps(make_trainer(team))
    torch.save(weights, Path(sys.argv[1]) / f"{team.rank}.pt")
    team.leave()


if __name__ == "__main__":
    main()
