"""Child processes that never outlive their parent, also when the parent alone is killed with -9.

A Python child calls ``die_with_parent()`` first thing. Any other program is started as ``bound(argv)``.

Linux ties the child to the *thread* that started it: start children from a thread that lives as long as the
process (the main thread), never from a pool's.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

PR_SET_PDEATHSIG = 1
PARENT_POLL_SECONDS = 0.2


def die_with_parent(parent_pid: int | None = None) -> None:
    """Have this process killed as soon as its parent is gone.

    Args:
        parent_pid: Who the parent is; when it is gone already, this process ends at once. None takes the
            parent that multiprocessing knows, or whoever is the parent now.

    Raises:
        OSError: the kernel refused.
    """
    if parent_pid is None:
        parent = multiprocessing.parent_process()
        parent_pid = os.getppid() if parent is None or parent.pid is None else parent.pid
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    else:
        threading.Thread(target=_watch_parent, args=(parent_pid,), name="watch-parent", daemon=True).start()
    if os.getppid() != parent_pid:  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


def bound(argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` as a child that dies with this process."""
    # -I and -S: the launcher sees nothing but the standard library; the program keeps its environment.
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *argv]


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def guard(parent_pid: int, argv: Sequence[str]) -> int:
    """Run ``argv``, kill it when the parent goes, pass signals on.

    For systems where no watch survives exec. Returns its exit status, or 128 + the number of the signal that
    ended it.
    """
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    # Before the start: a signal in between would end this process, and leave the program without its guard.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, receive)
    program = subprocess.Popen(list(argv))  # noqa: S603
    while True:
        while received:
            program.send_signal(received.pop(0))
        try:
            status = program.wait(PARENT_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent_pid:
                program.kill()
        else:
            return status if status >= 0 else 128 - status


def main(arguments: Sequence[str]) -> int:
    parent_pid, argv = int(arguments[0]), list(arguments[1:])
    if sys.platform == "linux":
        die_with_parent(parent_pid)
        os.execvp(argv[0], argv)  # noqa: S606
    return guard(parent_pid, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
