"""The service as it comes, on a CPU: clips go on while their networks are compiled, and with the result."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from tests.running_service import RunningService, running_service

IN_USE = "is compiled from now on"


def make_clip(service: RunningService) -> np.ndarray:
    """Frames ``uint8[T, H, W, 3]`` of the same request each time."""
    job = service.wait_for(service.create(seed=3, num_inference_steps=4)["id"], "completed", "failed")
    assert job["error"] is None
    with av.open(io.BytesIO(service.client.get(f"/videos/{job['id']}").content)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.timeout(600)
def test_clips_go_on_and_stay_the_same(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", {"T2V_COMPILE": "auto"}) as service:
        first = make_clip(service)
        compiled = service.data_dir / "compiled"
        service.wait_until(lambda: list(compiled.glob("*.compiled")), 300, "nothing was compiled")
        service.wait_until(
            lambda: make_clip(service) is not None and service.output.count(IN_USE) == 1,
            120,
            "what was compiled is not loaded",
        )
        difference = np.abs(make_clip(service).astype(int) - first.astype(int))
        assert difference.mean() < 0.5, "encoded anew: single pixels may differ by more than rounding"

        service.stop()
        service.start()
        service.wait_until(
            lambda: service.output.count(IN_USE) == 2, 120, "what was compiled is not loaded with the model"
        )
