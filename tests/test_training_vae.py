"""The VAE learns small pictures first, grows, and paints large ones from the same latents."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from tests.toy_training import NARROW
from training import train_vae
from training.clips import frame_pool, to_pixels
from training.networks import GRID, LATENT_CHANNELS, SIZE, SMALL, build_vae, grow
from training.teaching import Learner
from training.vae_learners import Decoder, Encoder, WholeVae, normalise_latents
from training.vae_loss import weights

Weights = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr("training.networks.WIDTHS", NARROW)


def make_all_steps(learner: Learner) -> list[float]:
    return [learner.train_step() for _ in range(learner.steps)]


def copied(vae: AutoencoderKL) -> Weights:
    return {name: weight.clone() for name, weight in vae.state_dict().items()}


def test_a_short_vae_run_gives_normal_latents() -> None:
    pool = frame_pool(SMALL, 64, seed=0, workers=0)
    vae = build_vae(SMALL)
    make_all_steps(WholeVae(vae, pool, steps=2, batch_size=2))
    pixels = to_pixels(pool[0])
    with torch.no_grad():
        decoded = vae.decode(vae.encode(pixels).latent_dist.mean).sample
        normalise_latents(vae, pixels)
        latents = vae.encode(pixels).latent_dist.mean
        assert vae.decode(latents).sample == pytest.approx(decoded, abs=1e-3)
    assert latents.mean(dim=(0, 2, 3)) == pytest.approx(torch.zeros(LATENT_CHANNELS), abs=1e-3)
    assert latents.std(dim=(0, 2, 3)) == pytest.approx(torch.ones(LATENT_CHANNELS), abs=1e-3)


def test_a_grown_vae_paints_what_the_small_one_painted() -> None:
    small = build_vae(SMALL)
    grown = grow(small)
    latents = torch.randn(2, LATENT_CHANNELS, GRID, GRID)
    with torch.no_grad():
        pictures, before = grown.decode(latents).sample, small.decode(latents).sample
        latents = grown.encode(pictures).latent_dist.mean
    assert pictures.shape == (2, 3, SIZE, SIZE)
    assert latents.shape == (2, LATENT_CHANNELS, GRID, GRID)
    both = torch.stack([F.avg_pool2d(pictures, 8).flatten(), F.avg_pool2d(before, 4).flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("half", "changing"),
    [(Encoder, ("encoder.", "quant_conv.")), (Decoder, ("decoder.", "post_quant_conv."))],
)
def test_a_half_learns_from_the_small_vae_and_the_rest_stays(
    half: type[Encoder | Decoder], changing: tuple[str, ...]
) -> None:
    small, pool = build_vae(SMALL), frame_pool(SIZE, 16, seed=0, workers=0)
    vae = grow(small)
    before, taught_by = copied(vae), copied(small)
    learner = half(vae, small, pool, steps=40, batch_size=4, learning_rate=4e-3)
    losses = make_all_steps(learner)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    learner.finish()
    changed = {name for name, weight in vae.state_dict().items() if not weight.equal(before[name])}
    assert changed
    assert all(name.startswith(changing) for name in changed)
    assert all(weight.equal(taught_by[name]) for name, weight in small.state_dict().items())


def test_one_command_makes_both_sizes_and_then_makes_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_vae, "POOL", 8)
    steps = [f"--{which}steps=2" for which in ("", "encoder-", "decoder-")]
    monkeypatch.setattr(sys, "argv", ["train_vae", "--run", str(tmp_path), "--batch-size=2", *steps])
    vaes = []
    for _ in range(2):
        train_vae.main()
        vaes.append([AutoencoderKL.from_pretrained(tmp_path / name) for name in ("small_vae", "vae")])
    assert [vae.config.sample_size for vae in vaes[0]] == [SMALL, SIZE]
    for first, again in zip(*vaes, strict=True):
        assert all(weight.equal(again.state_dict()[name]) for name, weight in first.state_dict().items())
    assert (tmp_path / "samples" / "vae.png").stat().st_size


def test_a_thing_weighs_more_than_its_background_and_less_beside_none() -> None:
    masks = torch.zeros((2, 8, 8), dtype=torch.bool)
    masks[0, 4, 4] = True
    found = weights(masks)
    assert found[0, 0, 4, 4] > found[1, 0, 4, 4] > found[0, 0, 0, 0] == 1
    assert torch.unique(found[1]).numel() == 1
