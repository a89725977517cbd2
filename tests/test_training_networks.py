"""The networks learn at toy size, go on from where they were, and save what diffusers loads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.toy_training import NARROW, make_trainer
from training.clips import DrawnClips, to_pixels
from training.heads import KINDS, TARGETS, motion_of, places_of
from training.latents import Latents, encode
from training.networks import (
    GRID,
    LATENT_CHANNELS,
    NUM_FRAMES,
    SIZE,
    SMALL,
    TEXT_WIDTH,
    build_unet,
    build_vae,
    is_over_time,
)
from training.sampling import generate, load
from training.teaching import Learner
from training.train_text_encoder import Reader
from training.train_unet import PICTURE_STEPS
from training.world.clip import Objects, Scenery, Thing, draw
from training.world.motions import TRAVEL

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr("training.networks.WIDTHS", NARROW)
    monkeypatch.setattr("training.train_text_encoder.HELD_OUT", 200)


def make_all_steps(learner: Learner) -> None:
    while learner.step < learner.steps:
        learner.train_step()


def test_training_reduces_the_loss() -> None:
    trainer = make_trainer()
    losses = [trainer.train_step() for _ in range(20)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_pictures_come_first_and_clips_later() -> None:
    trainer = make_trainer()
    rng = np.random.default_rng(0)
    batch = trainer._batch(rng)
    assert batch.of_pictures
    assert batch.latents.shape == (16, LATENT_CHANNELS, 1, 8, 8)
    assert batch.masks.shape == (16, 1, 1, 8, 8)
    assert len(batch.clips) == len(batch.captions) == 16
    assert torch.equal(batch.latents[0], trainer.pictures.values[0, 0, :, None].float())
    trainer.step = PICTURE_STEPS
    batches = [trainer._batch(rng) for _ in range(40)]
    shapes = {(batch.of_pictures, tuple(batch.latents.shape)) for batch in batches}
    assert shapes == {
        (True, (16, LATENT_CHANNELS, 1, 8, 8)),
        (False, (2, LATENT_CHANNELS, NUM_FRAMES, 8, 8)),
    }


@pytest.mark.parametrize("of_pictures", [True, False])
def test_pictures_teach_nothing_about_time(monkeypatch: pytest.MonkeyPatch, of_pictures: bool) -> None:
    monkeypatch.setattr("training.train_unet.PICTURE_SHARE", float(of_pictures))
    trainer = make_trainer()
    trainer.step = PICTURE_STEPS
    before = {name: weight.clone() for name, weight in trainer.unet.named_parameters()}
    for _ in range(2):
        trainer.train_step()
    changed = {name for name, weight in trainer.unet.named_parameters() if not weight.equal(before[name])}
    over_time = {name for name in before if is_over_time(name)}
    assert changed - over_time
    assert bool(changed & over_time) is not of_pictures


def test_a_motion_is_told_frame_by_frame() -> None:
    star = Thing("star", "red", "small")
    motion = motion_of(Objects((star,), None, "left", "normal", "black", seed=3))
    assert motion.shape == (NUM_FRAMES, TARGETS)
    assert motion[0] == pytest.approx([-1, 0, 0, 0, 0])
    assert motion[-1] == pytest.approx([1, -4 * TRAVEL["normal"], 0, 0, 0])
    growing = motion_of(Objects((star,), None, "grow", "normal", "black", seed=3))
    assert growing[[0, -1], 3] == pytest.approx([-1, 1])
    assert np.ptp(motion_of(Scenery("rain", 0)), axis=0) == pytest.approx([2, 0, 0, 0, 0])


def test_places_are_where_the_drawing_has_its_things() -> None:
    star, ring = Thing("star", "red", "large"), Thing("ring", "blue", "small")
    clip = Objects((star, ring), "above", "left", "slow", "black", seed=3)
    held = places_of(clip, cells=8)
    assert held.shape == (NUM_FRAMES, len(KINDS), 8, 8)
    found = {kind for index, kind in enumerate(KINDS) if held[:, index].any()}
    assert found == {"star", "red", "ring", "blue"}
    assert np.array_equal(held[:, KINDS.index("red")], held[:, KINDS.index("star")])
    height = {kind: held[0, KINDS.index(kind)].nonzero()[0].mean() for kind in ("red", "blue")}
    assert height["red"] < height["blue"]

    drawn = draw(clip).mask.reshape(NUM_FRAMES, 8, 8, 8, 8).any(axis=(2, 4))
    shown = held.any(axis=1)
    assert (shown & drawn).sum() > 0.7 * (shown | drawn).sum()
    assert not places_of(Scenery("rain", 0), cells=8).any()


def test_the_heads_ask_for_a_motion_only_where_the_caption_tells_it() -> None:
    trainer = make_trainer()
    heads, unet = trainer.heads, trainer.unet
    moving = Objects((Thing("star", "red", "small"),), None, "left", "normal", "black", seed=3)
    with torch.no_grad(), heads.listen(unet):
        unet(torch.zeros(2, LATENT_CHANNELS, NUM_FRAMES, 8, 8), 500, torch.zeros(2, 77, TEXT_WIDTH))
    told = heads.loss([moving, moving], [True, True])
    untold = heads.loss([moving, moving], [False, False])
    assert told > untold > 0
    scenery = Scenery("rain", 0)
    assert heads.loss([scenery] * 2, [True, True]) == heads.loss([scenery] * 2, [False, False])
    assert not unet.mid_block._forward_hooks


def test_the_heads_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train_unet.PICTURE_SHARE", 0.0)
    trainer = make_trainer()
    trainer.step, trainer.steps = PICTURE_STEPS, 10 * PICTURE_STEPS
    rng = np.random.default_rng(0)
    batch = trainer._batch(rng)
    assert not batch.of_pictures

    def of_heads() -> float:
        with torch.no_grad(), trainer.heads.listen(trainer.unet):
            trainer.unet(batch.latents, 500, trainer._embed(batch.captions))
            return float(trainer.heads.loss(batch.clips, [False, False]))

    trainer.learning_rate = 2e-2
    before = of_heads()
    for _ in range(30):
        trainer.train_step()
    assert of_heads() < 0.7 * before


def test_the_finest_grid_reads_the_text_at_the_end_alone() -> None:
    unet = build_unet()
    assert hasattr(unet.up_blocks[-1], "attentions")
    assert not hasattr(unet.down_blocks[0], "attentions")
    sample = unet(
        torch.zeros(1, LATENT_CHANNELS, NUM_FRAMES, GRID, GRID), 500, torch.zeros(1, 77, TEXT_WIDTH)
    ).sample
    assert sample.shape == (1, LATENT_CHANNELS, NUM_FRAMES, GRID, GRID)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    trainer = make_trainer()
    rates = []
    for step in (0, 99, 500, 799, 900, 999):
        trainer.step = step
        rates.append(trainer._learning_rate() / trainer.learning_rate)
    assert rates == pytest.approx([0.01, 1, 1, 1, 0.5, 0.01])


def test_the_saved_folder_generates(tmp_path: Path) -> None:
    make_trainer().show(tmp_path, tmp_path / "sample")
    assert (tmp_path / "sample.png").exists()
    pipe = load(tmp_path / "checkpoint")
    clips = generate(pipe, ["a red circle", "a blue star"], seed=0, steps=2)
    assert clips.shape == (2, NUM_FRAMES, SIZE, SIZE, 3)
    assert np.array_equal(clips, generate(pipe, ["a red circle", "a blue star"], seed=0, steps=2))
    assert sorted(file.name for file in (tmp_path / "checkpoint").rglob("*.safetensors"))
    configs = [json.loads(file.read_text()) for file in (tmp_path / "checkpoint").rglob("*config.json")]
    assert {config.get("_name_or_path", "") for config in configs} == {""}


def test_cached_latents_are_those_of_the_drawn_clips(tmp_path: Path) -> None:
    vae, clips = build_vae(SMALL).eval(), DrawnClips(3, SMALL, seed=5)
    values, masks = encode(vae, clips, CPU)
    frames, mask = clips[2]
    with torch.no_grad():
        expected = vae.encode(to_pixels(frames)).latent_dist.mean
    assert values[2].float() == pytest.approx(expected, abs=0.05)  # encoded in bfloat16
    assert masks[2].any(dim=(1, 2)).tolist() == mask.any(dim=(1, 2)).tolist()

    first = Latents.cached(vae, tmp_path / "latents.pt", clips, CPU)
    second = Latents.cached(vae, tmp_path / "latents.pt", clips, CPU)
    assert torch.equal(first.values, second.values)
    picture, where = second.batch(torch.tensor([2, 0]), torch.tensor([[3], [7]]))
    assert torch.equal(picture[0, :, 0], values[2, 3].float())
    assert where.shape == (2, 1, 1, 8, 8)


def test_the_text_encoder_learns_to_read() -> None:
    untrained = Reader(steps=1, batch_size=2, learning_rate=1e-4, seed=0).read_right()
    reader = Reader(steps=60, batch_size=16, learning_rate=4e-3, seed=0)
    make_all_steps(reader)
    trained = reader.read_right()
    assert trained["scene"] > 0.5
    assert sum(trained.values()) > sum(untrained.values()) + 3
