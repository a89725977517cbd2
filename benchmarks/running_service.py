"""The service as benchmarks meet it: in a process of its own, over a data folder, with a client."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import httpx2
import psutil

from services.catalogue_entry import REPOSITORY_ROOT
from services.generation.acceleration.workshop import COMPILE_AHEAD
from services.mongo import free_port

DEMO_ON_CPU = MappingProxyType({"T2V_MODEL": "demo", "T2V_DEVICE": "cpu"})

_START_SECONDS = 600.0
_CLIP_SECONDS = 1800.0
# Between two things that are compiled one after the other.
_QUIET_SECONDS = 2.0


@contextmanager
def running_service(
    settings: Mapping[str, str] = DEMO_ON_CPU, folder: Path | None = None
) -> Iterator[httpx2.Client]:
    """The service in a process of its own; yields a client once its model is loaded.

    Args:
        settings: ``T2V_…``; what they leave open is the caller's environment.
        folder: Its data folder; None for an empty one.
    """
    with ExitStack() as cleanup:
        where = folder or cleanup.enter_context(TemporaryDirectory())
        port = free_port()
        decided = {"T2V_DATA_DIR": str(where), "T2V_PORT": str(port), "T2V_LOG_LEVEL": "warning"}
        yield cleanup.enter_context(_started(os.environ | settings | decided, port))


@contextmanager
def _started(environment: dict[str, str], port: int) -> Iterator[httpx2.Client]:
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
            yield client
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
