"""What a client meets: requests to MP4s through the running service, and how soon it is ready again."""

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.running_service import make_ready, request, running_service

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
    settings = {"T2V_MODEL": model, "T2V_DEVICE": device, **settings}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with running_service(settings, Path(folder)) as client:
            figures.first_ready = time.perf_counter() - began
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
        began = time.perf_counter()
        with running_service(settings, Path(folder)) as client:
            figures.ready_again = time.perf_counter() - began
            request(client, dict(body), 0)
    return figures


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
