"""The encoder and the checkpoint break under the running service, and are mended."""

import fcntl
import os
import shutil
import struct
import sys
import termios
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.catalogue_entry import REPOSITORY_ROOT
from tests.running_service import RunningService, running_service


def encoder(service: RunningService) -> psutil.Process:
    """The idle process that will encode the next clip."""
    (process,) = (
        child for child in service.children() if any("encoder_process" in part for part in child.cmdline())
    )
    return process


def has_begun(process: psutil.Process) -> bool:
    """Whether something waits in its standard input to be read."""
    descriptor = os.open(f"/proc/{process.pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0] > 0
    finally:
        os.close(descriptor)


def run(service: RunningService, **body: Any) -> dict[str, Any]:
    return service.wait_for(service.create(**body)["id"], "completed", "failed")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into a pipe through /proc")
def test_a_killed_encoder_fails_its_job_and_no_other(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        first = run(service)
        worker = service.worker().pid
        victim = encoder(service)
        victim.suspend()
        job = service.create()
        service.wait_until(lambda: has_begun(victim), 60, "the encoder was given no clip")
        victim.kill()
        job = service.wait_for(job["id"], "completed", "failed")
        assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "encoding_failed", 1)
        assert str(tmp_path) not in job["error"]["message"]

        second = run(service)
        encoder(service).kill()
        third = run(service)
        assert {each["status"] for each in (first, second, third)} == {"completed"}
        assert service.worker().pid == worker
        stored = {path.name.partition(".")[0] for path in (service.data_dir / "videos").glob("*.*")}
        assert stored == {first["id"], second["id"], third["id"]}


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
