"""The command line: in a real terminal, and as scripts call it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2
import pytest

from authentication import create_key
from clients.cli import exit_code
from clients.cli_arguments import options_of, parse
from clients.errors import ApiError, ClientError, error_of
from clients.terminal import Terminal, printable
from tests.client_service import ClientService
from tests.running_service import REPOSITORY_ROOT, free_port
from tests.terminal_process import TerminalProcess, in_terminal

COMMAND = [sys.executable, "-m", "clients.cli"]
ENDLESS = "wait never"


@pytest.fixture(scope="module")
def service(client_service: ClientService) -> ClientService:
    return client_service


def run(service: ClientService, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=REPOSITORY_ROOT,
        env=service.environment | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def terminal(service: ClientService, *arguments: str) -> AbstractContextManager[TerminalProcess]:
    return in_terminal([*COMMAND, *arguments], service.environment, REPOSITORY_ROOT)


def test_a_clip_in_a_terminal_with_a_live_bar(service: ClientService, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    options = ["-o", str(output), "--seed", "7", "--steps", "30"]
    with terminal(service, "a red circle moving left", *options) as shown:
        shown.expect(r"in progress .*\d+%")
        shown.expect(r"step [1-9]\d*/30, \d+ s left")
        assert shown.wait() == 0, shown.screen
        shown.expect(r"completed .*100%")
        shown.expect(r"out\.mp4")
    assert output.read_bytes()[4:8] == b"ftyp"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_ctrl_c_asks_and_yes_cancels(scripted_service: ClientService) -> None:
    with terminal(scripted_service, ENDLESS) as shown:
        shown.expect(r"step \d+/20")
        shown.type("\x03")
        job_id = shown.expect(r"Cancel (video_\w+)\?")[1]
        shown.type("what\n")
        shown.expect(r"(?s)Cancel video_.*Cancel video_")
        shown.type("y\n")
        assert shown.wait() == 130, shown.screen
        shown.expect(f"{job_id} was cancelled")
    assert scripted_service.service.job(job_id)["status"] == "cancelled"


def test_a_second_ctrl_c_means_yes(scripted_service: ClientService) -> None:
    with terminal(scripted_service, ENDLESS) as shown:
        shown.expect(r"step \d+/20")
        shown.type("\x03")
        job_id = shown.expect(r"Cancel (video_\w+)\?")[1]
        shown.type("\x03")
        assert shown.wait() == 130, shown.screen
    scripted_service.service.wait_for(job_id, "cancelled")


def test_no_waits_on_and_leave_leaves_it_running(scripted_service: ClientService, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with terminal(scripted_service, f"wait {go}", "-o", str(tmp_path)) as shown:
        shown.expect(r"step \d+/20")
        shown.type("\x03")
        job_id = shown.expect(r"Cancel (video_\w+)\?")[1]
        shown.type("n\n")
        shown.expect(r"(?s)Cancel.*step \d+/20")
        shown.type("\x03")
        shown.expect(r"(?s)Cancel video_.*Cancel video_")
        shown.type("l\n")
        assert shown.wait() == 130, shown.screen
        shown.expect(f"'watch {job_id}' follows it")
    assert scripted_service.service.job(job_id)["status"] == "in_progress"
    go.touch()
    watched = run(scripted_service, "watch", job_id, "-o", str(tmp_path))
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.strip() == str(tmp_path / f"{job_id}.mp4")


def test_a_script_that_is_interrupted_is_asked_nothing(scripted_service: ClientService) -> None:
    job_id = run(scripted_service, ENDLESS, "--no-wait").stdout.strip()
    process = subprocess.Popen(
        [*COMMAND, "watch", job_id],
        cwd=REPOSITORY_ROOT,
        env=scripted_service.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert job_id in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"'cancel {job_id}' stops it" in said
    assert scripted_service.service.job(job_id)["status"] != "cancelled"
    cancelled = run(scripted_service, "cancel", job_id, "--json")
    assert json.loads(cancelled.stdout)["id"] == job_id
    scripted_service.service.wait_for(job_id, "cancelled")


def test_jobs_as_scripts_see_them(service: ClientService, tmp_path: Path) -> None:
    made = run(service, "list", "--no-wait", "--metadata", "by=script", "--json")
    assert made.returncode == 2, "list is a command, not a prompt"
    made = run(service, "generate", "list", "--no-wait", "--steps", "2", "--metadata", "by=script")
    job_id = made.stdout.strip()
    watched = run(service, "watch", job_id, "--quiet", "-o", str(tmp_path / "clip.mp4"))
    assert (watched.returncode, watched.stderr) == (0, "")
    rows = [line.split("\t") for line in run(service, "list", "-s", "list").stdout.splitlines()]
    assert [row[0] for row in rows] == [job_id]
    assert rows[0][1] == "completed"
    shown = run(service, "show", job_id)
    assert "seed" in shown.stdout
    record = json.loads(run(service, "show", job_id, "--json").stdout)
    assert record["metadata"] == {"by": "script"}
    downloaded = run(service, "download", job_id, "-o", str(tmp_path))
    assert Path(downloaded.stdout.strip()).read_bytes() == (tmp_path / "clip.mp4").read_bytes()
    assert run(service, "retry", job_id).returncode == 4
    assert run(service, "delete", job_id).returncode == 0
    gone = run(service, "show", job_id)
    assert gone.returncode == 4
    assert "There is no job" in gone.stderr


def test_models_fit_the_terminal(service: ClientService) -> None:
    with terminal(service, "models") as shown:
        assert shown.wait() == 0
        rows = [line.split() for line in shown.screen.splitlines()]
        assert ["model", "size", "frames", "licence", "description"] in rows
        (row,) = [row for row in rows if row[:2] == ["demo", "(default)"]]
        assert row[2:7] == ["128", "x", "128", "16", "MIT"]
        assert row[-1].endswith("…"), "the description is cut"
        assert max(map(len, shown.screen.splitlines())) <= 100
    assert "demo (default)\t128 x 128\t16\tMIT" in run(service, "models").stdout


def test_a_reader_that_has_seen_enough(service: ClientService) -> None:
    command = " ".join(COMMAND) + " models | true"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=REPOSITORY_ROOT,
        env=service.environment,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a star", "--width", "63"], 2, "width"),
        (["a star", "--width", "wide"], 2, "--width"),
        (["a star", "--metadata", "odd"], 2, "KEY=VALUE"),
        ([], 2, "command"),
        (["--url", "odd", "list"], 2, "url"),
        (["show", "video_unknown"], 4, "video_unknown"),
        (["a star", "-o", "/missing/out.mp4"], 5, "/missing"),
    ],
)
def test_exit_codes(service: ClientService, arguments: list[str], code: int, said: str) -> None:
    done = run(service, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_service_and_no_key_have_codes_of_their_own(service: ClientService) -> None:
    nobody = run(service, "--url", f"http://127.0.0.1:{free_port()}", "a star")
    assert nobody.returncode == 3
    assert "T2V_URL" in nobody.stderr
    refused = run(service, "list", T2V_API_KEY=create_key("mallory")[0])
    assert refused.returncode == 4
    assert "T2V_API_KEY" in refused.stderr


def test_help_names_the_exit_codes() -> None:
    shown = subprocess.run(
        [*COMMAND, "--help"], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True
    )
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert f"\n  {code} " in shown.stdout


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (422, 2), (401, 4), (409, 4), (429, 4), (500, 3), (503, 3)]
)
def test_every_error_of_the_service_has_a_code(status: int, code: int) -> None:
    error = error_of(httpx2.Response(status, json={"error": {"message": "m", "type": "t", "code": "c"}}))
    assert isinstance(error, ApiError)
    assert exit_code(error) == code


def test_every_client_error_has_a_code() -> None:
    assert exit_code(ClientError("anything")) == 3


def test_a_prompt_may_stand_without_a_command() -> None:
    for argv in (["a star", "--seed", "7"], ["--url", "http://x", "generate", "a star", "--seed", "7"]):
        arguments = parse(argv)
        assert (arguments.command, arguments.prompt) == ("generate", "a star")
        given = {name: value for name, value in options_of(arguments).items() if value is not None}
        assert given == {"seed": 7}
    assert parse(["--url=http://x", "list"]).command == "list"


@pytest.mark.parametrize(("columns", "shown"), [(60, "a\tb"), (61, "a" + 49 * " " + "  b ")])
def test_only_the_last_column_is_cut(
    columns: int, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    Terminal().table(("id", "nine cell"), [("a" + 49 * "-", "b" * 99), ("a", "b")])
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith(shown)


def test_escape_sequences_stay_out_of_the_terminal() -> None:
    assert printable("a\x1b[31mred\x07 star\nü") == "a\ufffd[31mred\ufffd star\nü"
