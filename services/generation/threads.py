"""How many threads compute on a CPU."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import torch

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def fit_threads() -> int:
    """Let torch use no more threads than this process may use cores, and return their number.

    torch itself counts the machine's cores. In a container that may use two of sixty-four, sixty-two threads
    would wait for the others to be let on again, at the end of every operation. ``OMP_NUM_THREADS`` has the
    last word.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), math.ceil(cores()))))
    return torch.get_num_threads()


def cores() -> float:
    """What affinity and the control groups' quota (Linux) leave of the machine's cores."""
    if hasattr(os, "sched_getaffinity"):
        most = float(len(os.sched_getaffinity(0)))
    else:
        most = float(os.cpu_count() or 1)
    return min([most, *quotas(_GROUPS, _OWN_GROUP)])


def quotas(groups: Path, own_group: Path) -> Iterator[float]:
    """Cores that this process's control group and those above it may use, where they are limited.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, ``cpu.max``.

    Args:
        groups: Where the control groups are mounted.
        own_group: Says which of them is this process's.
    """
    if not own_group.exists():
        return
    for line in own_group.read_text().splitlines():
        number, _, path = line.partition("::")
        if number != "0":
            continue  # a hierarchy of version 1
        folder = groups / path.lstrip("/")
        for each in (folder, *folder.parents):
            limit = each / "cpu.max"
            if limit.exists():
                quota, _, period = limit.read_text().partition(" ")
                if quota != "max":
                    yield int(quota) / int(period)
            if each == groups:
                break
