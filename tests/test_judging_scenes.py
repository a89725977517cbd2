"""The network that names sceneries learns at toy scale, and is read again while they stay the same."""

from pathlib import Path

import pytest
import torch

from training.judging import scenes
from training.judging.scenes import THINGS, SceneNet, accuracy, load_or_train, save, train
from training.world.clip import Scenery, draw
from training.world.scenery import SCENERIES

NAMES = ["sunset", "clock", THINGS]


@pytest.fixture(scope="module")
def net() -> SceneNet:
    return train(NAMES, count=48, epochs=8, workers=0)


def test_it_learns(net: SceneNet) -> None:
    assert accuracy(net, 24, workers=0) >= 0.9
    assert accuracy(net, 24, blemishes=True, workers=0) >= 0.8


def test_it_names_clips_of_any_size(net: SceneNet) -> None:
    clips = [draw(Scenery("sunset", 7), size).frames for size in (64, 128)]
    assert net.name(clips) == ["sunset", "sunset"]


def test_training_depends_on_the_seed_alone() -> None:
    first, second = (train(NAMES, count=6, epochs=1, workers=0) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_saved_network_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[list[str]] = []

    def train_none(names: list[str]) -> SceneNet:
        trained.append(names)
        return SceneNet(names)

    monkeypatch.setattr(scenes, "train", train_none)
    first, second = (load_or_train(tmp_path / "scenes.pt") for _ in range(2))
    assert torch.equal(first.head.weight, second.head.weight)
    save(SceneNet(NAMES), tmp_path / "scenes.pt")
    load_or_train(tmp_path / "scenes.pt")
    assert trained == [[*SCENERIES, THINGS]] * 2
