"""Dead, paused and living holders of leases, as real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.holder_lock import HolderLock

HOLDER = """
import pathlib, sys
from services.holder_lock import HolderLock

with HolderLock(pathlib.Path(sys.argv[1])) as holder:
    print(holder.name, flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock and says its name."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with other_holder(tmp_path) as process:
        yield process


def name_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def files(folder: Path) -> set[str]:
    return {path.name.removesuffix(".lock") for path in (folder / "holders").iterdir()}


def test_a_killed_holder_is_dead_and_a_paused_one_is_not(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    name = name_of(other)
    with HolderLock(tmp_path) as lock:
        assert not lock.is_dead(name)
        os.kill(other.pid, signal.SIGSTOP)
        assert not lock.is_dead(name)
        os.kill(other.pid, signal.SIGCONT)
        assert not lock.is_dead(name)
        other.kill()
        other.wait()
        assert lock.is_dead(name)
        assert lock.is_dead(name), "asking changes nothing"


def test_a_holder_that_leaves_leaves_nothing(other: subprocess.Popen[str], tmp_path: Path) -> None:
    name = name_of(other)
    assert files(tmp_path) == {name}
    other.communicate()
    with HolderLock(tmp_path) as lock:
        assert files(tmp_path) == {lock.name}
        assert not lock.is_dead(name), "nothing is known of it any more"
    assert files(tmp_path) == set()


def test_files_of_the_dead_go_when_no_lease_names_them(other: subprocess.Popen[str], tmp_path: Path) -> None:
    name = name_of(other)
    with HolderLock(tmp_path) as lock:
        lock.forget_dead(wanted=())
        assert files(tmp_path) == {lock.name, name}
        other.kill()
        other.wait()
        lock.forget_dead(wanted={name})
        assert files(tmp_path) == {lock.name, name}
        lock.forget_dead(wanted=())
        assert files(tmp_path) == {lock.name}


def test_names_are_never_used_twice(tmp_path: Path) -> None:
    assert HolderLock(tmp_path).name != HolderLock(tmp_path).name


@pytest.mark.parametrize("name", ["", "unknown", "../instance", "a/b", "x" * 300, "nul\0"])
def test_a_strange_name_is_not_known_to_be_dead(tmp_path: Path, name: str) -> None:
    (tmp_path / "instance.lock").touch()
    with HolderLock(tmp_path) as lock:
        assert not lock.is_dead(name)
        assert not lock.is_dead(lock.name)


def test_a_folder_that_cannot_be_locked_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "holders").write_text("a file where the folder should be")
    with HolderLock(tmp_path) as lock:
        assert "cannot be locked" in caplog.text
        assert not lock.is_dead("other")
        lock.forget_dead(wanted=())
