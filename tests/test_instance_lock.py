import subprocess
import sys
from pathlib import Path

import pytest

from services.instance_lock import DataFolderInUse, InstanceLock

HOLD = """
import pathlib, sys
from services.instance_lock import InstanceLock
with InstanceLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_instance_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataFolderInUse, match=rf"{tmp_path}.*process {holder.pid}.*T2V_DATA_DIR"):
            InstanceLock(tmp_path).__enter__()
        holder.kill()
        holder.wait()
        with InstanceLock(tmp_path):  # kill -9 frees it
            pass


def test_it_can_be_taken_again_after_it_was_given_back(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path / "new" / "folder")
    with lock:
        pass
    with lock, pytest.raises(DataFolderInUse):
        InstanceLock(tmp_path / "new" / "folder").__enter__()


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    with InstanceLock(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with InstanceLock(tmp_path):
            pass
    finally:
        child.communicate(b"\n")
