"""A program in a real terminal: a pseudo-terminal that is its controlling one, so that Ctrl-C is a signal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class TerminalProcess:
    """``screen`` is all that came so far, without colours and moves of the cursor."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._output = b""

    @property
    def screen(self) -> str:
        return _ESCAPES.sub("", self._output.decode(errors="replace"))

    def expect(self, pattern: str, timeout: float = 120) -> re.Match[str]:
        """Read on until ``pattern`` is there."""
        deadline = time.monotonic() + timeout
        while (match := re.search(pattern, self.screen)) is None:
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.screen[-2000:]}"
            assert self._read(), f"it ended without {pattern!r}:\n{self.screen[-2000:]}"
        return match

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait(self, timeout: float = 120) -> int:
        """Its exit code."""
        deadline = time.monotonic() + timeout
        while self._read():
            assert time.monotonic() < deadline, self.screen
        return self.process.wait(10)

    def _read(self) -> bool:
        """Whether more may come."""
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            # What Linux answers once the last process has closed its end.
            return False
        self._output += data
        return bool(data)


@contextmanager
def in_terminal(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path, *, columns: int = 100
) -> Iterator[TerminalProcess]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        # Its size is the terminal's, not the one that COLUMNS and LINES tell of.
        env={name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        | {"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield TerminalProcess(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
