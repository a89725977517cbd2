"""One instance per data folder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class DataFolderInUse(RuntimeError):
    """Another process holds the data folder."""


class InstanceLock:
    """Holds ``data_dir/instance.lock`` while open; the kernel frees it however the process ends.

    Raises:
        DataFolderInUse: on entry, when another instance holds it; the message names its process.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "instance.lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DataFolderInUse(
                f"The data folder {self._path.parent} is in use by another instance (process {holder}). "
                "Stop it, or set T2V_DATA_DIR to another folder."
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: deleting it would let two instances each lock a file of that name.
        os.close(self._descriptor)
        self._descriptor = -1
