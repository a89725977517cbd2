"""What the benchmarks share: taking turns, figures of what was timed, tables, and what machine it was."""

import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import diffusers
import numpy as np
import psutil
import torch

from services.generation.decoding import Frames

MIB = 2**20


def take_turns(
    ways: Mapping[str, Callable[[], object]], rounds: int, *, limit_seconds: float = math.inf
) -> dict[str, list[float]]:
    """Seconds of each way, once a round, so that what else the machine does slows all of them.

    Every other round goes backwards: whoever comes after another profits or suffers from its warm caches.

    Args:
        limit_seconds: No round begins later, but for the first.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    began = perf_counter()
    for number in range(rounds):
        if number and perf_counter() - began > limit_seconds:
            break
        for name in list(ways) if number % 2 == 0 else reversed(list(ways)):
            seconds[name].append(timed(ways[name]))
    return seconds


def timed(action: Callable[[], object]) -> float:
    """Seconds until it is done, the device's work included."""
    synchronise()
    began = perf_counter()
    action()
    synchronise()
    return perf_counter() - began


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def spread(seconds: Sequence[float]) -> float:
    """Half the distance between the quartiles, as a share of the median; 0 of a single figure."""
    if len(seconds) < 2:
        return 0.0
    first, _, third = statistics.quantiles(seconds, n=4, method="inclusive")
    return (third - first) / 2 / statistics.median(seconds)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], int]]:
    """Yields a function for the most bytes that the block held beyond what was held before it.

    Of this process: of the device's allocator on CUDA, of resident memory on a CPU (Linux).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    except OSError as error:
        raise SystemExit(f"peak memory on a CPU is read from /proc: {error}") from error
    before = psutil.Process().memory_info().rss
    yield lambda: max(0, _status_kib("VmHWM") * 1024 - before)


def _status_kib(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise SystemExit(f"/proc/self/status has no {name}")


def psnr(reference: Frames, frames: Frames) -> float:
    """Peak signal to noise ratio in dB of uint8 frames; infinite where they are equal."""
    error = float(np.mean((reference.astype(np.float32) - frames.astype(np.float32)) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def cosine(reference: torch.Tensor, latents: torch.Tensor) -> float:
    first, second = reference.double().flatten().cpu(), latents.double().flatten().cpu()
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def environment(device: torch.device) -> dict[str, Any]:
    """Of the figures: device, driver, versions, processor."""
    found: dict[str, Any] = {
        "device": str(device),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": sorted(name for name, there in torch.cpu.get_capabilities().items() if there is True),
        "load": os.getloadavg()[0],
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "device": properties.name,
            "device_gib": round(properties.total_memory / 2**30, 1),
            "capability": f"{properties.major}.{properties.minor}",
            "driver": _driver(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        return f"unknown ({error})"
    return said.split("\n")[0].strip()


def as_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Markdown, its columns aligned; all rows have the first one's."""
    if not rows:
        return ""
    heads = list(rows[0])
    widths = [max(len(head), *(len(row[head]) for row in rows)) for head in heads]
    lines = [[*heads], ["-" * width for width in widths], *([row[head] for head in heads] for row in rows)]
    padded = (
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    return "\n".join(f"| {line} |" for line in padded)


def say(text: str) -> None:
    """At once, so that a run that is cut off has told what it found."""
    print(text, flush=True)


def write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    """Whole or not at all; called after each part of a run. Nothing without a path."""
    if path is None:
        return
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(report, indent=2, default=str) + "\n")
    unfinished.replace(path)
