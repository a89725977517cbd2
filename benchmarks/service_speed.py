"""What a client meets: requests to MP4s through the running service, and how soon it is ready again."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
import psutil

from services.catalogue_entry import REPOSITORY_ROOT
from services.generation.acceleration.workshop import COMPILE_AHEAD
from services.mongo import free_port

_START_SECONDS = 600.0
_CLIP_SECONDS = 1800.0
# Between two things that are compiled one after the other.
_QUIET_SECONDS = 2.0
STAGES = ("load", "encode_prompt", "denoise", "decode", "encode")


@dataclass
class ServiceFigures:
    """Seconds, but for ``clips_a_minute``.

    Attributes:
        request: From the request to the whole MP4 in the client's hands, one after another.
        overhead: What of that was neither the model's loading, its work, nor encoding.
        denoise: Of that what sampling took.
        fast: As ``request``, with ``quality`` set to ``fast``.
        first_ready, ready_again: From the start of the process until a job can begin, its model loaded:
            with an empty data folder, and after a restart over what the first left there.
    """

    request: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    denoise: list[float] = field(default_factory=list)
    fast: list[float] = field(default_factory=list)
    clips_a_minute: float = 0.0
    first_ready: float = 0.0
    ready_again: float = 0.0

    def as_rows(self) -> list[dict[str, str]]:
        """The rows of the table of goals that the service decides."""
        found = {
            "request to MP4": f"{statistics.median(self.request):.3f} s",
            "service on top of the bare loop, without encoding": (
                f"{statistics.median(self.overhead) * 1000:.1f} ms"
            ),
            "clips a minute, queue full": f"{self.clips_a_minute:.1f}",
            "fast tier, request to MP4": f"{statistics.median(self.fast):.3f} s",
            "ready after the first start": f"{self.first_ready:.1f} s",
            "ready after a restart": f"{self.ready_again:.1f} s",
        }
        return [{"measure": measure, "reached": reached} for measure, reached in found.items()]


def measure_service(
    model: str, device: str, body: Mapping[str, Any], *, clips: int, settings: Mapping[str, str]
) -> ServiceFigures:
    """Start the service, make clips, fill its queue, restart it.

    Args:
        model: A name from the catalogue, or a folder.
        body: What each request asks for; its ``seed`` is added.
        settings: ``T2V_…`` for the service.
    """
    figures = ServiceFigures()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"T2V_MODEL": model, "T2V_DEVICE": device, "T2V_DATA_DIR": folder, **settings}
        with started(settings) as (client, figures.first_ready):
            make_ready(client, dict(body))
            for seed in range(1, clips + 1):
                seconds, timings = request(client, dict(body), seed)
                figures.request.append(seconds)
                figures.overhead.append(seconds - sum(timings.get(stage) or 0.0 for stage in STAGES))
                figures.denoise.append(timings["denoise"])
            fast = {name: value for name, value in body.items() if name != "num_inference_steps"}
            fast["quality"] = "fast"
            make_ready(client, fast)
            figures.fast = [request(client, fast, seed)[0] for seed in range(clips)]
            figures.clips_a_minute = fill_queue(client, body, clips)
        with started(settings) as (client, figures.ready_again):
            request(client, dict(body), 0)
    return figures


@contextmanager
def started(settings: Mapping[str, str]) -> Iterator[tuple[httpx2.Client, float]]:
    """The service in a process of its own; yields a client and the seconds until its model was loaded."""
    port = free_port()
    # Of the caller's own settings only those that this run does not decide.
    environment = os.environ | settings | {"T2V_PORT": str(port), "T2V_LOG_LEVEL": "warning"}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "app"], cwd=REPOSITORY_ROOT, env=environment)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=_CLIP_SECONDS) as client:
            while not _has_model(client):
                if process.poll() is not None:
                    raise SystemExit(f"the service ended with {process.returncode}")
                if time.perf_counter() - began > _START_SECONDS:
                    raise SystemExit("the service did not load its model")
                time.sleep(0.02)
            yield client, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(60)


def _has_model(client: httpx2.Client) -> bool:
    try:
        if client.get("/health/ready").status_code != 200:
            return False
        return any(model["loaded"] for model in client.get("/models").json()["data"])
    except httpx2.TransportError:
        return False


def request(client: httpx2.Client, body: dict[str, Any], seed: int) -> tuple[float, dict[str, float]]:
    """Seconds from the request to the MP4, and the job's own timings."""
    began = time.perf_counter()
    headers = {"prefer": "wait=300"}
    job = client.post("/videos", json=body | {"seed": seed}, headers=headers).json()
    while job.get("status") in ("queued", "in_progress"):
        time.sleep(0.01)
        job = client.get(f"/jobs/{job['id']}").json()
    if job.get("status") != "completed":
        raise SystemExit(f"the job did not complete: {job}")
    client.get(f"/videos/{job['id']}").raise_for_status()
    return time.perf_counter() - began, job["timings"]


def make_ready(client: httpx2.Client, body: dict[str, Any]) -> None:
    """Have made what is made once: the first clip asks for compiled code, the second begins to load it."""
    request(client, body, 0)
    since = time.perf_counter()
    while time.perf_counter() - since < _QUIET_SECONDS:
        if _is_compiling():
            since = time.perf_counter()
        time.sleep(0.1)
    for _ in range(2):
        request(client, body, 0)


def _is_compiling() -> bool:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if COMPILE_AHEAD in process.cmdline():
                return True
    return False


def fill_queue(client: httpx2.Client, body: Mapping[str, Any], clips: int) -> float:
    """Clips a minute while others wait: from the first one's end to the last one's, by the records.

    It asks for nothing meanwhile: on a CPU every answer costs time that the clips want.
    """
    made = [client.post("/videos", json={**body, "seed": seed}) for seed in range(clips + 1)]
    ids = [answer.raise_for_status().json()["id"] for answer in made]
    with client.stream("GET", f"/jobs/{ids[-1]}/events") as events:
        events.raise_for_status()
        for _ in events.iter_lines():
            pass
    jobs = [client.get(f"/jobs/{job_id}").raise_for_status().json() for job_id in ids]
    if unfinished := [job for job in jobs if job["status"] != "completed"]:
        raise SystemExit(f"a job did not complete: {unfinished[0]}")
    ended = [datetime.fromisoformat(job["completed_at"]).timestamp() for job in jobs]
    return 60 * clips / (max(ended) - min(ended))
