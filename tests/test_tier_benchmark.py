"""The benchmark of the tiers runs, and says what it compares."""

import math
from dataclasses import replace

import numpy as np

from benchmarks.tiers import measure, psnr, ssim, table
from services.catalogue_entry import Range
from services.execution.messages import GeneratorConfig

pytest_plugins = ["tests.tiny_fixtures"]


def test_measures_every_way_against_exact(tiny_entry):
    small = replace(
        tiny_entry,
        defaults=replace(tiny_entry.defaults, width=64, height=64, num_frames=2, num_inference_steps=4),
        limits=replace(tiny_entry.limits, num_inference_steps=Range(1, 4)),
    )
    rows = measure(small, GeneratorConfig(device="cpu"), clips=1, rounds=1)
    names = [row.name for row in rows]
    assert names[0] == "exact"
    assert names[-2:] == ["balanced", "fast"]
    exact, fast = rows[0], rows[-1]
    assert (exact.speed_up, exact.psnr, exact.ssim) == (1.0, math.inf, 1.0)
    assert fast.steps < exact.steps == 4
    assert fast.psnr < math.inf
    shown = table(rows).splitlines()
    assert len(shown) == len(rows) + 2
    assert "| exact | 4 |" in shown[2]
    assert "identical" in shown[2]


def test_similarity_falls_with_the_difference():
    exact = np.random.default_rng(0).integers(0, 200, (2, 16, 16, 3), np.uint8)
    near, far = exact + np.uint8(1), exact + np.uint8(50)
    assert math.inf == psnr(exact, exact) > psnr(exact, near) > psnr(exact, far)
    assert 1.0 == ssim(exact, exact) > ssim(exact, near) > ssim(exact, far)
