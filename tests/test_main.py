"""``python -m app``: what it says when it cannot start. That it starts and stops is in test_service.py."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from services.instance_lock import InstanceLock
from tests.receiver import SECRET
from tests.running_service import SCRIPTED_SERVICE, running_service

ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "mongodb://user:hunter2@127.0.0.1:1/"
UNUSABLE = "mongodb://u:hunter2:p@h/"


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith("T2V_") and k not in ("MONGO_URI", "HF_TOKEN")
    }
    ours = {"T2V_DATA_DIR": str(tmp_path / "data"), "T2V_PORT": "0", "T2V_MODEL": "demo", "T2V_DEVICE": "cpu"}
    return subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env=clean | ours | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"T2V_PORT": "99999"}, "T2V_PORT: "),
        ({"T2V_DEVICE": "tpu"}, "T2V_DEVICE: "),
        ({"T2V_MODEL": "sora"}, "T2V_MODEL: model 'sora'"),
        ({"T2V_MODEL_ALIASES": "sora-2"}, "T2V_MODEL_ALIASES: entry 1 is not of the form name=model"),
        ({"T2V_MODEL_ALIASES": "a=demo, b=c"}, "T2V_MODEL_ALIASES: b stands for 'c'"),
        ({"T2V_HOST": "0.0.0.0"}, "API key is needed"),  # noqa: S104
        ({"T2V_HOST": "::"}, "API key is needed"),
        ({"T2V_HOST": "example.org"}, "API key is needed"),
        ({"T2V_API_KEYS": "alice"}, "T2V_API_KEYS: entry 1"),
        ({"T2V_SIGNING_KEY": "short"}, "T2V_SIGNING_KEY: must have at least 32"),
        ({"T2V_WEBHOOK_SECRET": "hunter2"}, "T2V_WEBHOOK_SECRET: entry 1 is not whsec_"),
        ({"T2V_WEBHOOK_URL": "https://example.com/"}, "T2V_WEBHOOK_URL needs T2V_WEBHOOK_SECRET"),
        ({"T2V_WEBHOOK_URL": "https://u:hunter2@example.com/"}, "T2V_WEBHOOK_URL: must not hold a user name"),
        ({"T2V_WEBHOOK_URL": "http://10.0.0.1/", "T2V_WEBHOOK_SECRET": SECRET}, "T2V_WEBHOOK_ALLOW_PRIVATE"),
        ({"T2V_WEBHOOK_ALLOW_PRIVATE": "yes"}, "T2V_WEBHOOK_ALLOW_PRIVATE: entry 1"),
        ({"T2V_ROLE": "api"}, "set MONGO_URI"),
        ({"T2V_ROLE": "dispatcher"}, "set MONGO_URI"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be(
    environment: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("T2V_") or name == "MONGO_URI"]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main() == 2
    said = capsys.readouterr().err
    assert words in said
    assert "hunter2" not in said
    assert list(tmp_path.iterdir()) == [], "nothing was started"


def test_a_program_that_cannot_start_ends_with_its_code(tmp_path: Path) -> None:
    done = run(tmp_path, T2V_PORT="99999")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: T2V_PORT: ")
    assert "Traceback" not in done.stderr


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(tmp_path, T2V_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert not (tmp_path / "data" / "mongo").exists(), "nothing was started"


def test_a_data_folder_in_use(tmp_path: Path) -> None:
    with InstanceLock(tmp_path / "data"):
        done = run(tmp_path)
    assert done.returncode == 1
    assert "in use by another instance" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "cannot be made" in done.stderr


def test_the_data_folder_is_private_unless_it_was_there(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o750)
    for folder, mode in ((tmp_path / "new", 0o700), (kept, 0o750)):
        run(tmp_path, MONGO_URI=UNUSABLE, T2V_DATA_DIR=str(folder))
        assert stat.S_IMODE(folder.stat().st_mode) == mode


@pytest.mark.parametrize(("uri", "words"), [(NOWHERE, "cannot be reached"), (UNUSABLE, "not a usable")])
def test_a_database_that_is_not_there(tmp_path: Path, uri: str, words: str) -> None:
    done = run(tmp_path, MONGO_URI=uri)
    assert done.returncode == 1
    assert words in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_second_ctrl_c_gives_running_jobs_back_at_once(tmp_path: Path) -> None:
    settings = {"T2V_SHUTDOWN_GRACE_SECONDS": "600"}
    with running_service(tmp_path / "data", settings, module=SCRIPTED_SERVICE) as service:
        job = service.create(prompt=f"wait {tmp_path / 'never'}")
        service.wait_for_step(job["id"], 1)
        children = service.children()
        service.process.send_signal(signal.SIGINT)
        service.wait_until(lambda: "stopping" in service.output, 10, "the first Ctrl-C was not heard")
        assert service.stop(signal.SIGINT, timeout=20) == 0, service.output
        assert not any(child.is_running() for child in children)
        assert f"job {job['id']} is queued" in service.output
        assert "Traceback" not in service.output
