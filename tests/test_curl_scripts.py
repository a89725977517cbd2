"""The curl scripts, as they are."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from authentication import create_key
from tests.client_service import ClientService
from tests.live_api import live_api
from tests.running_service import REPOSITORY_ROOT, free_port

FOLDER = REPOSITORY_ROOT / "clients" / "curl"
MISSING = [program for program in ("bash", "curl", "jq") if shutil.which(program) is None]
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.sh") if path.name != "common.sh")

needs_programs = pytest.mark.skipif(bool(MISSING), reason=f"install {', '.join(MISSING)}")


def run(
    service: ClientService, script: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FOLDER / script, *arguments],
        env=service.environment | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_shellcheck_finds_nothing() -> None:
    files = [*FOLDER.glob("*.sh"), REPOSITORY_ROOT / ".ci" / "run"]
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--external-sources", *files], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@needs_programs
def test_create_wait_download(client_service: ClientService, tmp_path: Path) -> None:
    file = tmp_path / 'a "quoted" name.mp4'
    done = run(client_service, "create-wait-download.sh", 'a red "circle" moving left', str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(file)
    assert file.read_bytes()[4:8] == b"ftyp"
    assert os.listdir(tmp_path) == [file.name]
    assert re.search(r"^video_\w+ completed 100(\.0)?%$", done.stderr, re.MULTILINE)


@needs_programs
def test_events_follow_a_job_that_cancel_ends(scripted_service: ClientService) -> None:
    with scripted_service.client() as client:
        job = client.create("wait never")
    following = subprocess.Popen(
        [FOLDER / "events.sh", job.id], env=scripted_service.environment, stdout=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    assert following.stdout.readline().startswith(job.id)
    scripted_service.service.wait_for_step(job.id, 1)
    done = run(scripted_service, "cancel.sh", job.id)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(job.id)
    said, _ = following.communicate(timeout=60)
    assert following.returncode == 0
    assert re.search(r"^step \d+/20$", said, re.MULTILINE)
    assert said.splitlines()[-1] == f"{job.id} cancelled"


@needs_programs
def test_list_goes_through_all_pages(client_service: ClientService) -> None:
    with client_service.client() as client:
        ids = [client.create("listed by curl", priority=-2).id for _ in range(3)]
        for job_id in ids:
            client.cancel(job_id)
    for job_id in ids:
        client_service.service.wait_for(job_id, "cancelled", "completed")
    done = run(client_service, "list.sh", "", "listed by curl", LIMIT="1")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ids[::-1], done.stderr
    assert all(row[3] == "listed by curl" for row in rows)


@needs_programs
@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "list.sh"])
def test_what_is_missing_is_said(client_service: ClientService, script: str) -> None:
    done = run(client_service, script)
    assert done.returncode == 2
    assert "usage:" in done.stderr


@needs_programs
@pytest.mark.parametrize("script", SCRIPTS)
def test_errors_are_said_and_end_the_script(client_service: ClientService, script: str) -> None:
    argument = {"create-wait-download.sh": "a star", "list.sh": "odd"}.get(script, "video_unknown")
    refused = run(client_service, script, argument, T2V_API_KEY=create_key("mallory")[0])
    assert refused.returncode == 22, refused.stdout
    assert "API key" in refused.stderr + refused.stdout
    if script != "create-wait-download.sh":
        wrong = run(client_service, script, argument)
        assert wrong.returncode == 22, wrong.stdout
        assert "There is no job" in wrong.stderr or "status" in wrong.stderr


@needs_programs
def test_no_service(client_service: ClientService) -> None:
    done = run(client_service, "list.sh", T2V_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 7
    assert "connect" in done.stderr


@needs_programs
async def test_what_is_asked_again_is_answered_once(tmp_path: Path) -> None:
    """The refusals on the way are no part of the answer."""
    async with live_api(tmp_path, rate_limit="1/2seconds") as api:
        environment = {**os.environ, "T2V_URL": str(api.client.base_url)}
        made = [
            asyncio.create_task(
                asyncio.to_thread(
                    subprocess.run,
                    [FOLDER / "create-wait-download.sh", "a star", str(tmp_path / f"{place}.mp4")],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            )
            for place in range(2)
        ]
        for place, done in enumerate(await asyncio.gather(*made)):
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip() == str(tmp_path / f"{place}.mp4")
        assert len((await api.client.get("/jobs")).json()["data"]) == 2
