"""Named moments at which a process of the service can be made to die or to stand still.

The service knows nothing of them: ``tests.chaos.entry`` and ``tests.chaos.generators`` wrap its parts. A
point is armed by a file of its name, and taken by the first process that comes by.
"""

import os
import signal
from pathlib import Path

FOLDER = "CHAOS_POINTS"

SERVICE_POINTS = (
    "after-claim",
    "mid-write",
    "before-rename",
    "after-rename",
    "before-compare-and-set",
    "after-compare-and-set",
    "before-recovery",
    "after-recovery",
)
WORKER_POINTS = ("mid-sampling", "before-encode", "after-encode")
POINTS = SERVICE_POINTS + WORKER_POINTS


class Armed:
    """A point that waits for a process to come by."""

    def __init__(self, folder: Path, point: str, action: str) -> None:
        """``action``: ``kill`` or ``stop`` the process itself, ``kill-service`` the parent of a worker."""
        folder.mkdir(exist_ok=True)
        self._file = folder / point
        self._file.write_text(action)

    def taken_by(self) -> int | None:
        """The id of the process that was killed or stopped here; None while none has been."""
        for file in self._file.parent.glob(f"{self._file.name}.by.*"):
            file.unlink()
            return int(file.suffix[1:])
        return None

    def disarm(self) -> None:
        self._file.unlink(missing_ok=True)


def reach(point: str) -> None:
    """Die or stand still here if the point is armed."""
    file = Path(os.environ[FOLDER]) / point
    try:
        action = file.read_text()
    except FileNotFoundError:
        return
    victim = (
        os.getppid()
        if action == "kill-service" or (action == "stop" and point in WORKER_POINTS)
        else os.getpid()
    )
    try:
        file.rename(file.with_name(f"{point}.by.{victim}"))
    except FileNotFoundError:  # another process was first
        return
    os.kill(victim, signal.SIGSTOP if action == "stop" else signal.SIGKILL)
