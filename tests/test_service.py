"""The service as its user meets it: a real process, real HTTP, the demo checkpoint."""

import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from tests.running_service import RunningService, running_service

LONG = {"num_inference_steps": 12}


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder, settings = tmp_path_factory.mktemp("service"), {"T2V_SHUTDOWN_GRACE_SECONDS": "0.5"}
    with running_service(folder / "data", settings) as service:
        yield service


@pytest.fixture
def service(shared_service: RunningService) -> RunningService:
    """One that tests may stop, kill and start, each of which takes its time."""
    if shared_service.process.poll() is not None:
        shared_service.start()
    return shared_service


def frames_of(mp4: bytes) -> np.ndarray:
    """uint8[T, H, W, 3] of an MP4."""
    with av.open(BytesIO(mp4)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_readme_clip_is_a_red_circle_moving_left(service: RunningService) -> None:
    created = service.client.post("/videos", json={"prompt": "a red circle moving left", "seed": 7})
    assert created.status_code == 202
    job_id = created.json()["id"]
    assert created.headers["location"] == f"/jobs/{job_id}"
    job = service.wait_for(job_id, "completed", "failed")
    assert job["status"] == "completed", job

    answer = service.client.get(f"/videos/{job_id}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    frames = frames_of(answer.content).astype(float)
    assert frames.shape[0] == job["params"]["num_frames"] == job["video"]["num_frames"]
    redness = frames[..., 0] - frames[..., 1:].max(-1)
    assert (redness > 80).any(axis=(1, 2)).all(), "every frame shows red"
    columns = [np.nonzero(frame > 80)[1].mean() for frame in redness]
    assert columns[-1] < columns[0] - 8, f"the red object moves left: {columns}"


def test_metadata_travels_in_the_file(service: RunningService) -> None:
    job = service.create(prompt="a blue square moving up", seed=11)
    service.wait_for(job["id"], "completed")
    with av.open(BytesIO(service.client.get(f"/videos/{job['id']}").content)) as container:
        comment = container.metadata["comment"]
    assert "a blue square moving up" in comment
    assert '"seed": 11' in comment


def test_equal_seeds_give_equal_bytes(service: RunningService) -> None:
    first, second, other = (service.create(seed=seed)["id"] for seed in (5, 5, 6))
    hashes = [service.wait_for(job_id, "completed")["video"]["sha256"] for job_id in (first, second, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_cancel_frees_the_worker_within_a_step(service: RunningService) -> None:
    worker = service.worker().pid
    running, waiting = service.create(**LONG), service.create()
    service.wait_for_step(running["id"], 3)
    assert service.client.post(f"/jobs/{running['id']}/cancel").status_code in (200, 202)
    cancelled = service.wait_for(running["id"], "cancelled", timeout=10)
    assert cancelled["progress"]["step"] < LONG["num_inference_steps"] / 2
    completed = service.wait_for(waiting["id"], "completed")
    assert completed["attempt"] == 1
    assert service.worker().pid == worker, "the worker was not restarted"


def test_a_killed_worker_costs_one_attempt(service: RunningService) -> None:
    job = service.create(**LONG)
    service.wait_for_step(job["id"], 3)
    service.worker().kill()
    completed = service.wait_for(job["id"], "completed", "failed")
    assert (completed["status"], completed["attempt"]) == ("completed", 2)


def test_a_killed_service_loses_nothing(service: RunningService) -> None:
    running = service.create(**LONG)
    waiting = [service.create(seed=seed) for seed in range(3)]
    service.wait_for_step(running["id"], 3)
    service.kill()
    service.start()
    assert service.wait_for(running["id"], "completed", "failed")["attempt"] == 2
    for job in [running, *waiting]:
        assert service.wait_for(job["id"], "completed", "failed")["status"] == "completed"
        assert service.client.get(f"/videos/{job['id']}").status_code == 200


def test_sigint_ends_it_and_keeps_its_history(service: RunningService) -> None:
    done = service.create()
    service.wait_for(done["id"], "completed")
    children = service.children()
    assert service.stop(signal.SIGINT) == 0, service.output
    _, alive = psutil.wait_procs(children, timeout=30)  # a worker's own child ends just after it
    assert not alive
    assert "Traceback" not in service.output
    service.start()
    assert service.job(done["id"])["status"] == "completed"
    assert service.client.get(f"/videos/{done['id']}").status_code == 200


def test_sigterm_gives_a_long_job_back_to_the_queue(service: RunningService) -> None:
    job = service.create(**LONG)
    service.wait_for_step(job["id"], 3)
    assert service.stop() == 0, service.output
    assert "Traceback" not in service.output
    service.start()
    completed = service.wait_for(job["id"], "completed", "failed")
    assert (completed["status"], completed["attempt"]) == ("completed", 1)


def test_a_second_service_says_what_is_in_its_way(service: RunningService, tmp_path: Path) -> None:
    same_port = RunningService(tmp_path / "data")
    same_port.port = service.port
    same_folder = RunningService(service.data_dir)
    same_folder.log = tmp_path / "same_folder.log"
    for other, words in [(same_port, f"port {service.port}"), (same_folder, "in use")]:
        with pytest.raises(AssertionError, match="the service ended with 1"):
            start_without_client(other)
        assert words in other.output.lower()
        assert "Traceback" not in other.output


def start_without_client(service: RunningService) -> None:
    """Start a service that must end by itself. Its port may be another's, so nothing is asked of it."""
    service.is_ready = lambda: service.process.poll() is not None  # type: ignore[method-assign]
    service.start()
    raise AssertionError(f"the service ended with {service.process.returncode}")
