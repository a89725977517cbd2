"""Where calls are compiled while they go on as they are: in other processes, one after the other."""

import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

from services.generation.acceleration.compile_spec import CompileSpec

logger = logging.getLogger(__name__)

COMPILE_AHEAD = "services.generation.acceleration.compile_ahead"
_COMMAND = (sys.executable, "-m", COMPILE_AHEAD)
_LIMIT_SECONDS = 3600
_MESSAGE_CHARS = 300


class Workshop:
    """Keeps what it compiles in a folder, for this worker and later ones.

    Args:
        folder: Results hold code that is run: nobody else may write there.
        command: What compiles; given the parent's process id and a path, and the spec to its standard input.
    """

    def __init__(self, folder: Path, command: Sequence[str] = _COMMAND) -> None:
        self._folder = folder
        self._command = command
        self._asked: set[str] = set()
        self._failed: set[str] = set()
        self._wanted: SimpleQueue[CompileSpec] = SimpleQueue()
        self._kernels = folder / "kernels"
        self._environment = {"TORCHINDUCTOR_CACHE_DIR": str(self._kernels)}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open_to_this_process(self) -> None:
        """Have torch look for kernels where they were built; elsewhere it would build them again."""
        os.environ.update(self._environment)

    def get(self, spec: CompileSpec) -> Path | None:
        """The compiled result; None while it is not there, and for good where it cannot be made."""
        path = self._path(spec)
        if spec.digest in self._failed:
            return None
        # Without Inductor's kernels, loading would build them, and a job would wait for it.
        if path.exists() and (spec.backend != "compiled" or self._kernels.is_dir()):
            return path
        if spec.digest not in self._asked:
            if not self._asked:
                # Threads of their own end with the process, and the kernel ends their child with them.
                threading.Thread(target=self._serve, name="workshop", daemon=True).start()
            self._asked.add(spec.digest)
            self._wanted.put(spec)
        return None

    def discard(self, spec: CompileSpec, reason: str) -> None:
        """A result that is of no use: it goes, and is not made again by this worker."""
        logger.warning("%s is not compiled: %s", spec.network, reason)
        self._failed.add(spec.digest)
        self._path(spec).unlink(missing_ok=True)

    def _path(self, spec: CompileSpec) -> Path:
        return self._folder / f"{spec.digest}.compiled"

    def _serve(self) -> None:
        while True:
            spec = self._wanted.get()
            try:
                self._compile(spec)
            except (OSError, subprocess.SubprocessError) as error:
                self.discard(spec, str(error))

    def _compile(self, spec: CompileSpec) -> None:
        started = perf_counter()
        logger.info("compiling %s for %s", spec.network, spec.tensors[0][1])
        with tempfile.TemporaryFile("w+", dir=self._folder) as said:
            done = subprocess.run(  # noqa: S603 - our own module; the path is a digest
                [*self._command, str(os.getpid()), str(self._path(spec))],
                input=spec.to_json(),
                env=os.environ | self._environment,
                text=True,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=_LIMIT_SECONDS,
                check=False,
            )
            if done.returncode != 0:
                said.seek(0)
                lines = said.read().strip().splitlines() or [f"exit status {done.returncode}"]
                self.discard(spec, lines[-1][:_MESSAGE_CHARS])
                return
        logger.info("compiled %s in %.0f s", spec.network, perf_counter() - started)
