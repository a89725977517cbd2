"""The networks learn at toy size, go on from where they were, and save what diffusers loads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.captions import vocabulary
from training.checkpoint import build_text_encoder
from training.drawing import draw_clip, random_scene
from training.evaluate import generate, load, print_table, scores
from training.latents import LatentTable
from training.tokenizer import build_tokenizer
from training.train_text_encoder import train_text_encoder
from training.train_unet import Trainer
from training.train_vae import (
    LATENT_CHANNELS,
    build_vae,
    normalise_latents,
    random_frames,
    to_pixels,
    train_vae,
)

TABLE_SHAPE = (4, 37, 3, 11, 11, LATENT_CHANNELS, 8, 8)


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture
def trainer() -> Trainer:
    """A trainer whose clips all show the same picture, on a narrow VAE that was never trained."""
    picture = torch.randn(TABLE_SHAPE[-3:], generator=torch.Generator().manual_seed(0)).half()
    latents = LatentTable(picture.expand(TABLE_SHAPE))
    vae = build_vae((8, 8, 8, 8)).eval()
    text_encoder = build_text_encoder(build_tokenizer(vocabulary()))
    return Trainer(vae, text_encoder, latents, steps=1000, batch_size=2, learning_rate=5e-2, seed=0)


def test_training_reduces_the_loss(trainer: Trainer) -> None:
    losses = [trainer.train_step() for _ in range(10)]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


def test_a_restored_run_makes_the_same_steps(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train_step()
    trainer.save(tmp_path)
    expected = trainer.train_step()
    trainer.restore(tmp_path)
    assert trainer.step == 1
    assert trainer.train_step() == pytest.approx(expected, rel=1e-4)


def test_the_saved_folder_generates(trainer: Trainer, tmp_path: Path) -> None:
    trainer.save(tmp_path)
    pipe = load(tmp_path / "checkpoint")
    clips = generate(pipe, ["a red circle", "a blue star"], seed=0, steps=2)
    assert clips.shape == (2, 8, 64, 64, 3)
    assert np.array_equal(clips, generate(pipe, ["a red circle", "a blue star"], seed=0, steps=2))
    assert sorted(file.name for file in (tmp_path / "checkpoint").rglob("*.safetensors"))


def test_a_short_vae_run_gives_normal_latents() -> None:
    vae = train_vae(steps=2, batch_size=2)
    pixels = to_pixels(random_frames(np.random.default_rng(0), 16))
    with torch.no_grad():
        decoded = vae.decode(vae.encode(pixels).latent_dist.mean).sample
        normalise_latents(vae, pixels)
        latents = vae.encode(pixels).latent_dist.mean
        assert vae.decode(latents).sample == pytest.approx(decoded, abs=1e-3)
    assert latents.mean(dim=(0, 2, 3)) == pytest.approx(torch.zeros(LATENT_CHANNELS), abs=1e-3)
    assert latents.std(dim=(0, 2, 3)) == pytest.approx(torch.ones(LATENT_CHANNELS), abs=1e-3)


def test_drawn_clips_score_full_and_shuffled_ones_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng) for _ in range(30)]
    clips = [draw_clip(scene) for scene in scenes]
    drawn, shuffled = scores(scenes, clips), scores(scenes, clips[1:] + clips[:1])
    assert drawn["all four"] == 1.0
    assert shuffled["all four"] < 0.2
    print_table({"drawn": drawn, "shuffled": shuffled})
    assert "| all four | 100% |" in capsys.readouterr().out


def test_the_text_encoder_learns_the_attributes() -> None:
    _, untrained = train_text_encoder(steps=1, batch_size=2, learning_rate=1e-4, seed=0)
    _, trained = train_text_encoder(steps=60, batch_size=32, learning_rate=4e-3, seed=0)
    assert untrained < 0.05
    assert trained > 0.3
