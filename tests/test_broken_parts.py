"""ffmpeg and the checkpoint break under the running service, and are mended."""

import shutil
import stat
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from services.catalogue_entry import REPOSITORY_ROOT
from tests.running_service import RunningService, running_service

FEW_STEPS = {"num_inference_steps": 2}


@pytest.fixture
def broken_ffmpeg(tmp_path: Path) -> Path:
    """An ffmpeg that does what the file beside it says, and works without one."""
    program, orders = tmp_path / "ffmpeg", tmp_path / "orders"
    program.write_text(
        f'#!/bin/sh\nif [ -e {orders} ]; then . {orders}; fi\nexec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def run(service: RunningService, **body: Any) -> dict[str, Any]:
    return service.wait_for(service.create(**FEW_STEPS, **body)["id"], "completed", "failed")


def test_a_failing_ffmpeg_fails_its_job_and_no_other(broken_ffmpeg: Path, tmp_path: Path) -> None:
    orders = broken_ffmpeg.with_name("orders")
    with running_service(tmp_path / "data", {"IMAGEIO_FFMPEG_EXE": str(broken_ffmpeg)}) as service:
        worker = service.worker().pid
        for order in ("exit 1", "kill -9 $$", "head -c 1000 >/dev/null; kill -9 $$"):
            orders.write_text(order)
            job = run(service)
            assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "encoding_failed", 1)
            assert str(tmp_path) not in job["error"]["message"]
            orders.unlink()
        job = run(service)
        assert job["status"] == "completed"
        assert service.worker().pid == worker
        stored = {path.name.partition(".")[0] for path in (service.data_dir / "videos").glob("*.*")}
        assert stored == {job["id"]}
        assert not list((service.data_dir / "holders").glob("*.scratch/*"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    copy = tmp_path / "checkpoint"
    shutil.copytree(REPOSITORY_ROOT / "checkpoints" / "demo", copy)
    return copy


def test_a_checkpoint_that_is_damaged_while_it_is_in_use(checkpoint: Path, tmp_path: Path) -> None:
    weights = checkpoint / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    with running_service(tmp_path / "data", {"T2V_MODEL": str(checkpoint)}) as service:
        assert run(service)["status"] == "completed"
        with weights.open("r+b") as file:
            file.truncate(len(whole) // 2)
        job = run(service)
        assert job["status"] == "completed", "what is in memory goes on"
        service.worker().kill()
        job = run(service)
        assert (job["status"], job["error"]["code"]) == ("failed", "model_unavailable")
        assert str(tmp_path) not in job["error"]["message"]
        assert service.is_ready()
        weights.write_bytes(whole)
        assert run(service)["status"] == "completed"
