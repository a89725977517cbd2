"""Several processes make the steps that one would make."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.run import parse_args

from tests.toy_training import NARROW, make_steps, make_trainer
from training.__main__ import in_processes
from training.team import Team, best_size

Weights = dict[str, torch.Tensor]


def distance(ours: Weights, theirs: Weights) -> float:
    return float(torch.cat([(ours[name] - theirs[name]).flatten() for name in ours]).norm())


def test_two_processes_end_where_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run"]
    toys = in_processes(2, "tests.toy_training", str(tmp_path))
    subprocess.run([*launcher, *toys], check=True, timeout=300)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert distance(first, second) == 0

    monkeypatch.setattr("training.networks.WIDTHS", NARROW)
    monkeypatch.setattr("training.devices.has_bfloat16", lambda: False)
    trainer = make_trainer()
    before = {name: weight.clone() for name, weight in trainer.unet.state_dict().items()}
    alone = make_steps(trainer)
    # Muon makes much of what rounding leaves; half of a batch ends six tenths of the way from there.
    assert distance(first, alone) < 0.1 * distance(alone, before)


def test_the_launcher_leaves_the_arguments_alone() -> None:
    ours = ["--run", "runs/demo", "--seed", "1"]
    taken = parse_args(in_processes(2, "training.train_unet", *ours))
    assert taken.nproc_per_node == "2"
    assert [taken.training_script, *taken.training_script_args] == ["training.train_unet", *ours]


def test_the_parts_are_the_batch() -> None:
    batch = list(range(12))
    parts = [batch[Team(rank, 3).part] for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert sorted(parts[0] + parts[1] + parts[2]) == batch
    assert batch[Team().part] == batch


@pytest.mark.parametrize(("cores", "expected"), [(0.5, 1), (1, 1), (2, 2), (3.5, 2), (8, 8), (64, 16)])
def test_a_batch_can_be_parted_among_the_best_number(
    cores: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("training.team.cores", lambda: cores)
    assert best_size(batch_size=16) == expected
