"""What the service costs on top of generation.

    python -m benchmarks.service_overhead [--clips 20]

Makes the same clips twice in one run: by the generator alone in this process, and one after another through
HTTP and a running service (``Prefer: wait``), in turn so that a drifting machine speed hits both. Prints both
totals and their ratio.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.video import VideoParams
from services.catalogue import Catalogue
from services.execution.messages import GenerationRequest, GeneratorConfig
from services.generation.generator import Generator

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent
PROMPT = "a red circle moving left"
START_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=20, help="how many clips each way")
    arguments = parser.parse_args()

    generator = Generator(GeneratorConfig(device="cpu"))
    entry = Catalogue.create("demo").get("demo")
    if entry is None:
        raise SystemExit("the demo model is not in the catalogue")
    defaults = entry.defaults
    alone: list[float] = []
    served: list[float] = []

    def run_alone(seed: int) -> float:
        params = VideoParams(
            prompt=PROMPT,
            negative_prompt=defaults.negative_prompt,
            width=defaults.width,
            height=defaults.height,
            num_frames=defaults.num_frames,
            fps=defaults.fps,
            num_inference_steps=defaults.num_inference_steps,
            guidance_scale=defaults.guidance_scale,
            scheduler=defaults.scheduler,
            seed=seed,
        )
        started = time.perf_counter()
        generator.generate(GenerationRequest("benchmark", entry, params), lambda _: None, lambda: False)
        return time.perf_counter() - started

    with running_service() as url:
        run_alone(0)
        run_served(url, 0)
        for seed in range(1, arguments.clips + 1):
            # Whoever goes first would profit or suffer from the other's warm caches.
            for way in (alone, served) if seed % 2 else (served, alone):
                way.append(run_alone(seed) if way is alone else run_served(url, seed))

    for name, seconds in (("generator alone", alone), ("through HTTP", served)):
        median = statistics.median(seconds)
        print(f"{arguments.clips} clips, {name:16} {sum(seconds):8.3f} s, median {median:.3f} s")
    ratio = sum(served) / sum(alone)
    print(f"total through HTTP / alone: {ratio:.4f} ({(ratio - 1) * 100:+.1f}%)")


def run_served(url: str, seed: int) -> float:
    """Seconds from the request to the whole MP4, in the client's hands."""
    started = time.perf_counter()
    body = json.dumps({"prompt": PROMPT, "seed": seed}).encode()
    headers = {"content-type": "application/json", "prefer": "wait=120"}
    job = fetch_json(urllib.request.Request(f"{url}/videos", body, headers))  # noqa: S310
    if job["status"] != "completed":
        raise SystemExit(f"the job ended as {job['status']}: {job.get('error')}")
    with urllib.request.urlopen(f"{url}/videos/{job['id']}") as answer:  # noqa: S310
        answer.read()
    return time.perf_counter() - started


def fetch_json(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        document: dict[str, Any] = json.load(answer)
    return document


@contextmanager
def running_service() -> Iterator[str]:
    """The service in a process of its own, over an empty data folder; yields its address."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "T2V_PORT": str(port),
            "T2V_DATA_DIR": folder,
            "T2V_MODEL": "demo",
            "T2V_DEVICE": "cpu",
            "T2V_LOG_LEVEL": "warning",
        }
        process = subprocess.Popen([sys.executable, "-m", "app"], cwd=REPOSITORY_ROOT, env=environment)
        try:
            wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(60)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the service ended with {process.returncode}")
        try:
            fetch_json(urllib.request.Request(f"{url}/health/ready"))  # noqa: S310
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit("the service did not become ready")


if __name__ == "__main__":
    main()
