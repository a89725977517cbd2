"""Which holders of leases have died: the kernel knows, long before their leases run out."""

import fcntl
import logging
import os
import re
import secrets
import socket
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_SUFFIX = ".lock"


class HolderLock:
    """Holds ``data_dir/holders/<name>.lock`` while open; the kernel frees it however the process ends.

    ``name`` is what this process signs its leases with. It is drawn anew each time, so a lock that can be
    taken proves that nobody will ever again act under that name. A process that stands still keeps its lock.
    Where the file system knows no locks, nobody is known to be dead and leases alone decide.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "holders"
        host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:100]
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while True:
                descriptor = os.open(self._path(self.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:
                    break
                os.close(descriptor)  # somebody took the new file for a dead process's
        except OSError as error:
            logger.warning(
                "%s cannot be locked (%s): dead processes show by their leases", self._folder, error
            )
        else:
            self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            self._delete(self.name)
            os.close(self._descriptor)
            self._descriptor = -1

    def is_dead(self, holder: str) -> bool:
        """Whether ``holder`` certainly is. One that stands still is not; another folder's is not known."""
        if holder == self.name or not _NAME.fullmatch(holder):
            return False
        descriptor = self._take(self._path(holder))
        if descriptor is None:
            return False
        os.close(descriptor)
        return True

    def forget_dead(self, wanted: Collection[str]) -> None:
        """Delete the locks of dead holders, but for those of ``wanted``."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            name = path.name.removesuffix(_SUFFIX)
            if name == self.name or name in wanted:
                continue
            descriptor = self._take(path)
            if descriptor is not None:
                self._delete(name)
                os.close(descriptor)

    def _delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _take(self, path: Path) -> int | None:
        """A descriptor with the lock, or None where there is no such file or it is held."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor
