"""Whatever is taught goes on from where it was cut off, as if it had not been, and shows how far it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextModel

from tests.toy_training import NARROW, make_trainer
from training.clips import frame_pool
from training.networks import SIZE, SMALL, build_vae, grow
from training.progress import LossCurve
from training.teaching import Learner, teach
from training.train_text_encoder import Reader
from training.vae_learners import Decoder, Encoder, WholeVae

STEPS = 3


def make_unet() -> Learner:
    trainer = make_trainer()
    trainer.steps = STEPS
    return trainer


def make_reader() -> Learner:
    return Reader(STEPS, batch_size=2, learning_rate=1e-3, seed=0)


def make_whole_vae() -> Learner:
    torch.manual_seed(0)
    return WholeVae(build_vae(SMALL), frame_pool(SMALL, 8, seed=0, workers=0), STEPS, batch_size=2)


def make_half(half: type[Encoder | Decoder]) -> Learner:
    torch.manual_seed(0)
    small = build_vae(SMALL)
    return half(grow(small), small, frame_pool(SIZE, 8, seed=0, workers=0), STEPS, batch_size=2)


def make_encoder() -> Learner:
    return make_half(Encoder)


def make_decoder() -> Learner:
    return make_half(Decoder)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.networks.WIDTHS", NARROW)
    monkeypatch.setattr("training.progress.PROMPTS", ("a red circle",))
    monkeypatch.setattr("training.train_text_encoder.HELD_OUT", 20)


class CutOff(Exception):
    """What ends a run in the middle."""


def record(learner: Learner, until: int = STEPS) -> list[float]:
    """The losses of the steps that it will make, as they come; the step after ``until`` cuts it off."""
    losses: list[float] = []
    train_step = learner.train_step

    def recorded() -> float:
        if learner.step == until:
            raise CutOff
        losses.append(train_step())
        return losses[-1]

    learner.train_step = recorded  # type: ignore[method-assign]
    return losses


@pytest.mark.parametrize("make", [make_unet, make_reader, make_whole_vae, make_encoder, make_decoder])
def test_a_run_that_was_cut_off_makes_the_same_steps(make: Callable[[], Learner], tmp_path: Path) -> None:
    whole = make()
    expected = [whole.train_step() for _ in range(STEPS)]
    cut_off = make()
    record(cut_off, until=1)
    with pytest.raises(CutOff):
        teach(cut_off, tmp_path, "toy", save_every=0)
    other = make()
    losses = record(other)
    teach(other, tmp_path, "toy")
    assert losses == pytest.approx(expected[1:], rel=1e-3)
    assert torch.load(tmp_path / "toy.pt", weights_only=True)["step"] == STEPS
    samples = list((tmp_path / "samples").iterdir())
    assert {file.stem for file in samples} == {"toy-000001", "toy-000003"}
    assert all(file.stat().st_size for file in samples)


def test_a_finished_run_makes_no_step(tmp_path: Path) -> None:
    for _ in range(2):
        reader = make_reader()
        teach(reader, tmp_path, "toy")
        assert reader.step == STEPS
    assert len(list((tmp_path / "samples").iterdir())) == 1


def test_the_text_encoder_is_there_in_the_end(tmp_path: Path) -> None:
    teach(make_reader(), tmp_path, "text_encoder")
    assert CLIPTextModel.from_pretrained(tmp_path / "text_encoder")


def test_the_loss_curve_is_written_and_drawn(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    curve = LossCurve(path, every=2)
    curve.draw()
    assert not path.with_suffix(".png").exists()
    assert [curve.add(loss) for loss in (1.0, 3.0, 5.0, 7.0)] == [1.0, 2.0, 4.0, 6.0]
    assert path.read_text() == "2,2.00000\n4,6.00000\n"
    curve.draw()
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_loss_curve_forgets_steps_that_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("2,2.00000\n4,6.00000\n6,9.00000\n")
    curve = LossCurve(path, step=4, every=2)
    curve.add(1.0)
    curve.add(1.0)
    assert path.read_text() == "2,2.00000\n4,6.00000\n6,1.00000\n"
