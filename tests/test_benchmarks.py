"""The benchmarks of speed run, at toy size, and their tables hold their columns. No times are judged."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import encoding, memory, speed
from benchmarks.make_reference_checkpoint import UNET, VAE
from benchmarks.measuring import as_table, psnr, spread, take_turns
from benchmarks.roofline import matmul_peak, unet_flops, vae_flops
from benchmarks.speed_bench import make_params
from services.catalogue import Catalogue

pytest_plugins = "tests.tiny_fixtures"
CPU = torch.device("cpu")


def test_ways_take_turns_forth_and_back():
    order = []
    seconds = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(each) for name, each in seconds.items()} == {"a": 3, "b": 3}
    assert len(take_turns({"a": lambda: None}, 3, limit_seconds=0)["a"]) == 1


def test_figures():
    assert spread([1.0]) == 0.0
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(0.25)
    assert as_table([{"way": "a", "s": "1.0"}]) == "| way | s   |\n| --- | --- |\n| a   | 1.0 |"
    frames = encoding.make_frames(3, 32, 48)
    assert frames.shape == (3, 32, 48, 3)
    assert psnr(frames, frames) == float("inf")
    assert psnr(frames, 255 - frames) < 20


def test_the_work_of_the_reference_model_is_counted():
    """9.77 TFLOP a step and 9.96 for the VAE, at 16 frames of 256×256 with guidance."""
    params = make_params(Catalogue.create("text-to-video-ms-1.7b").default_entry, 16, 256, 256)
    assert unet_flops(UNET, params, 77, 8) / 1e12 == pytest.approx(9.77, abs=0.05)
    assert vae_flops(VAE, params, 8) / 1e12 == pytest.approx(9.96, abs=0.05)
    assert matmul_peak(CPU, torch.float32, 64) > 0


def test_speed_compares_the_ways(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    report_file, picture = tmp_path / "speed.json", tmp_path / "speed.png"
    speed.main(
        [
            *("--checkpoint", str(tiny_folder), "--device", "cpu", "--shapes", "2x64x64,3x64x64"),
            *("--steps", "2", "--rounds", "2", "--no-service", "--dtype", "float32", "--no-compile"),
            *("--json", str(report_file), "--plot", str(picture)),
        ]
    )
    report = json.loads(report_file.read_text())
    assert list(report["shapes"]) == ["2x64x64", "3x64x64"]
    table = report["shapes"]["2x64x64"]["table"]
    rows = {row["way"]: row for row in table}
    assert list(rows)[:2] == ["stock eager", "ours eager"]
    assert {"+ temporal_conv", "+ text_attention", "ours eager, bfloat16"} <= set(rows)
    assert len(report["shapes"]["3x64x64"]["table"]) == 3
    assert rows["stock eager"]["speed-up"] == "1.00"
    assert rows["ours eager"]["cosine"] == "1.000000"
    assert rows["ours eager"]["PSNR dB"] == "inf"
    assert {"s a clip", "± %", "ms a step", "TFLOP/s", "of the peak, denoising %", "memory MiB"} <= set(
        table[0]
    )
    assert {"torch", "cores", "processor", "load"} <= set(report["environment"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "| way " in capsys.readouterr().out


def test_encoding_compares_both_ways(capsys: pytest.CaptureFixture[str]):
    encoding.main(["--shapes", "4x64x64", "--rounds", "1"])
    said = capsys.readouterr().out
    assert all(column in said for column in ("of export_to_video", "kB", "PSNR dB", "ours, a new process"))


def test_memory_says_what_each_way_takes(tiny_folder: Path, tmp_path: Path):
    report_file = tmp_path / "memory.json"
    memory.main(
        [
            *("--checkpoint", str(tiny_folder), "--device", "cpu", "--shapes", "2x64x64", "--steps", "1"),
            *("--card-gib", "2,5,7,80", "--json", str(report_file)),
        ]
    )
    report = json.loads(report_file.read_text())
    assert [row["slicing"] for row in report["rows"]] == ["off", "on"]
    assert all(float(row["peak GiB"]) >= 0 and float(row["s a clip"]) > 0 for row in report["rows"])
    assert [row["offload"] for row in report["picks"]] == ["sequential", "model", "none", "none"]
