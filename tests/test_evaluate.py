"""The evaluation runs from a folder to a table, on prompts that training never saw."""

import json
import sys
from pathlib import Path

import pytest

from tests.tiny_checkpoint import save_tiny_checkpoint
from training import evaluate
from training.judging.agreement import ROWS
from training.judging.scenes import THINGS, SceneNet, save
from training.judging.tables import add_up, look_at, mark, shuffled
from training.world.clip import draw, is_held_out
from training.world.scenery import SCENERIES


def test_all_cases_are_held_out_and_seeded() -> None:
    cases = evaluate.held_out_cases(40, seed=1)
    assert all(is_held_out(case.clip) for case in cases)
    assert cases == evaluate.held_out_cases(40, seed=1)
    assert cases != evaluate.held_out_cases(40, seed=2)


def test_every_case_is_shuffled_with_one_of_its_kind() -> None:
    cases = evaluate.held_out_cases(40, seed=1)
    places = shuffled(cases)
    assert sorted(places) == list(range(40))
    assert all(cases[place].kind == case.kind for place, case in zip(places, cases, strict=True))
    assert all(place != index for index, place in enumerate(places))


def test_held_out_drawings_reach_the_ceiling() -> None:
    cases = [case for case in evaluate.held_out_cases(50, seed=3) if case.kind]
    seen = look_at([draw(case.clip).frames for case in cases], SceneNet([*SCENERIES, THINGS]))
    scores = add_up(mark(cases, seen))
    assert all(score.share in (None, 1.0) for score in scores.values()), scores


def test_it_measures_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "tiny")
    save(SceneNet([*SCENERIES, THINGS]), tmp_path / "scenes.pt")
    monkeypatch.setattr(evaluate, "accuracy", lambda net: 0.5)
    monkeypatch.setattr(evaluate, "EFFECT_PROMPTS", 2)
    arguments = ["--count", "4", "--seeds", "1", "--steps", "1", "--scenes", str(tmp_path / "scenes.pt")]
    arguments += ["--json", str(tmp_path / "report.json"), "--sheet", str(tmp_path / "sheet.png")]
    monkeypatch.setattr(sys, "argv", ["evaluate", str(checkpoint), *arguments, "--device", "cpu"])
    evaluate.main()
    printed = capsys.readouterr().out
    assert all(f"| {title} |" in printed for title in ROWS.values())
    assert "| generated | shuffled prompts | drawn, through the VAE | drawn |" in printed
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["scores"]["drawn"]["all of one"]["share"] == 1
    blurred = report["scores"]["drawn, through the VAE"]["all of one"]
    assert blurred["share"] < 1
    assert blurred["count"] == report["scores"]["drawn"]["all of one"]["count"]
    assert report["effects"]["same_seed"] == 0 < report["effects"]["between_seeds"]
    assert (tmp_path / "sheet.png").exists()
