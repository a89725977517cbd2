import subprocess
import sys
import time

import pytest

from services.device_probe import has_cuda

NO_CUDA = "import torch, sys; sys.exit(torch.cuda.is_available())"


def test_cpu_is_never_cuda() -> None:
    assert has_cuda("cpu") is False


def test_it_agrees_with_torch() -> None:
    torch_has_none = subprocess.run([sys.executable, "-c", NO_CUDA], check=False).returncode == 0
    started = time.perf_counter()
    assert has_cuda() is not torch_has_none
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_devices_do_not_count(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert has_cuda() is False
