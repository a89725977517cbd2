"""The whole service as its users run it: ``python -m app`` in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0

SCRIPTED_SERVICE = "tests.scripted_service"
"""Starts a service whose clips are scripted, see ``tests.generators.ScriptedGenerator``."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class RunningService:
    """A service over a data folder. ``client`` talks to it; what it printed is in ``output``.

    ``module`` is what starts it: ``app``, or SCRIPTED_SERVICE.
    """

    def __init__(self, data_dir: Path, *, module: str = "app", **settings: str) -> None:
        self.data_dir = data_dir
        self.module = module
        self.port = free_port()
        self.settings = settings
        self.log = data_dir.with_name(data_dir.name + ".log")
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it and return once it is ready."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("T2V_")}
        environment |= {
            "T2V_PORT": str(self.port),
            "T2V_DATA_DIR": str(self.data_dir),
            "T2V_DATABASE": f"test_{self.port}",
            "T2V_MODEL": "demo",
            "T2V_DEVICE": "cpu",
            "T2V_COMPILE": "off",
            "T2V_LEASE_SECONDS": "4",
        } | self.settings
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=REPOSITORY_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.wait_until(self.is_ready, START_SECONDS, "the service did not become ready")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, (
            f"the service ended with {self.process.returncode}:\n{self.output}"
        )
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False

    @property
    def output(self) -> str:
        return self.log.read_text()

    def create(self, **body: Any) -> dict[str, Any]:
        """A job of two steps, unless ``body`` says otherwise: whose picture nobody looks at."""
        quick = {"prompt": "a red circle moving left", "num_inference_steps": 2}
        answer = self.client.post("/videos", json=quick | body)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def wait_for(self, job_id: str, *statuses: str, timeout: float = 120.0) -> dict[str, Any]:
        """The job, once its status is one of ``statuses``."""
        self.wait_until(
            lambda: self.job(job_id)["status"] in statuses, timeout, f"{job_id} did not become {statuses}"
        )
        return self.job(job_id)

    def wait_for_step(self, job_id: str, step: int) -> None:
        self.wait_until(
            lambda: self.job(job_id)["progress"]["step"] >= step, 60, f"{job_id} did not reach step {step}"
        )

    def wait_until(self, predicate: Any, timeout: float, message: str) -> None:
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, f"{message}:\n{self.output[-4000:]}"
            time.sleep(0.05)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker(self) -> psutil.Process:
        """The process that holds the pipeline: of the service's children the one with the most memory."""
        return max(self.children(), key=lambda child: child.memory_info().rss)

    def kill(self) -> None:
        """kill -9 of the parent alone, then wait until none of its children is left."""
        children = self.children()
        self.process.kill()
        self.process.wait(10)
        self.wait_until(
            lambda: (
                not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
            ),
            15,
            "children outlived the service",
        )

    def stop(self, sign: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Stop it with a signal and return its exit code."""
        self.process.send_signal(sign)
        return self.process.wait(timeout)

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            children = self.children()
            self.process.kill()
            self.process.wait(10)
            psutil.wait_procs(children, timeout=10)


@contextmanager
def running_service(
    data_dir: Path, settings: Mapping[str, str] | None = None, *, module: str = "app"
) -> Iterator[RunningService]:
    service = RunningService(data_dir, module=module, **(settings or {}))
    try:
        service.start()
        yield service
    finally:
        service.close()
