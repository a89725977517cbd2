"""Real parents killed with -9, and what becomes of their children."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services import child_process
from services.child_process import bound
from tests.waiting import eventually

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
PARENT = """
import os, subprocess, sys, time
from services.child_process import bound
child = subprocess.Popen({command}, stdout=subprocess.PIPE)
assert child.stdout.readline() == b"up\\n"
print(child.pid, flush=True)
time.sleep(600)
"""
GUARD = (
    "import sys; from services.child_process import guard; sys.exit(guard(int(sys.argv[1]), sys.argv[2:]))"
)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(f"bound([sys.executable, '-c', {SLEEPER!r}])", id="bound program"),
        pytest.param(
            f"[sys.executable, '-c', 'from services.child_process import die_with_parent; "
            f"die_with_parent(); ' + {SLEEPER!r}]",
            id="die_with_parent",
        ),
        pytest.param(
            f"[sys.executable, '-c', {GUARD!r}, str(os.getpid()), sys.executable, '-c', {SLEEPER!r}]",
            id="guard",
        ),
    ],
)
async def test_a_child_dies_with_its_parent(command: str, kill: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT.format(command=command), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child_pid = int(await parent.stdout.readline())
    children = [child_pid, *children_of(child_pid)]
    assert all(map(is_running, children))
    parent.send_signal(kill)
    await parent.wait()
    await eventually(lambda: not any(map(is_running, children)), message=f"{children} outlived their parent")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_program_whose_parent_is_already_gone_never_starts(tmp_path: Path) -> None:
    argv = bound(["touch", str(tmp_path / "started")])
    position = argv.index(str(os.getpid()))
    argv[position] = "999999999"
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_a_bound_program_keeps_arguments_environment_streams_and_exit_status() -> None:
    script = "import os, sys; print(sys.argv[1:], os.environ['COLOUR'], sys.stdin.read()); sys.exit(3)"
    done = subprocess.run(
        bound([sys.executable, "-c", script, "two words", "--flag"]),
        input="in",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLOUR": "red"},
    )
    assert (done.stdout, done.returncode) == ("['two words', '--flag'] red in\n", 3)


def test_a_bound_program_has_the_pid_that_its_parent_sees() -> None:
    child = subprocess.Popen(bound(["sh", "-c", "echo $$"]), stdout=subprocess.PIPE, text=True)
    assert int(child.communicate()[0]) == child.pid


@pytest.mark.parametrize(("script", "status"), [("exit 5", 5), ("kill -9 $$", 128 + 9)])
def test_the_guard_answers_with_the_programs_status(script: str, status: int) -> None:
    guard = [sys.executable, "-c", GUARD, str(os.getpid()), "sh", "-c", script]
    assert subprocess.run(guard, check=False).returncode == status


def test_the_guard_passes_signals_on() -> None:
    script = "trap 'echo told; exit 7' TERM; echo up; while :; do sleep 0.01; done"
    guard = [sys.executable, "-c", GUARD, str(os.getpid()), "sh", "-c", script]
    with subprocess.Popen(guard, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.stdout.readline() == "told\n"
        assert process.wait(10) == 7


def test_the_launcher_needs_nothing_but_the_standard_library() -> None:
    assert child_process.__file__ in bound(["true"])
    assert subprocess.run(bound(["true"]), cwd="/", env={}, check=False).returncode == 0
