"""A screen of its own for programs with windows: Xvfb."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

XVFB = shutil.which("Xvfb")


@contextmanager
def virtual_display() -> Iterator[str]:
    """The value for ``DISPLAY``."""
    assert XVFB is not None
    read, write = os.pipe()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [XVFB, "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stdout=log,
            stderr=log,
        )
        os.close(write)
        try:
            # It writes the number once it accepts clients.
            with os.fdopen(read) as number:
                display = number.readline().strip()
            log.seek(0)
            assert display, log.read().decode()
            yield f":{display}"
        finally:
            process.terminate()
            process.wait(10)
