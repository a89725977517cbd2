"""What the service is built from: pinned with hashes, and audited without blind spots."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
AUDIT = ROOT / ".ci" / "audit.py"


def load_audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", AUDIT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = load_audit()


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {audit.canonical(name): version for name, version in found}


def test_the_lock_is_of_these_requirements() -> None:
    for name, version in pins((ROOT / "requirements.txt").read_text()).items():
        assert pins(LOCK).get(name) == version, f"{name}: run make lock"


def test_every_pinned_package_has_a_hash() -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK)[1:]
    assert len(entries) > 60
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.splitlines()[0]
    assert not re.search(r"^(-e|git\+|https?:|--(extra-)?index-url)", LOCK, re.MULTILINE)


def test_requirements_are_exact() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "clients/requirements.txt"):
        for line in (ROOT / name).read_text().splitlines():
            assert re.fullmatch(r"#.*|-r (clients/)?requirements\.txt|[A-Za-z0-9._-]+==\S+", line), line


def test_service_and_clients_agree() -> None:
    """Both may live in one environment, as they do for the tests."""
    service, clients = (
        pins((ROOT / name).read_text()) for name in ("requirements.txt", "clients/requirements.txt")
    )
    assert service.keys() & clients.keys() >= {"httpx2", "pydantic"}
    assert all(service[name] == clients[name] for name in service.keys() & clients.keys())


def test_the_image_installs_by_hash_and_runs_as_its_own_user() -> None:
    image = (ROOT / "Dockerfile").read_text()
    assert "pip install --no-cache-dir --require-hashes -r requirements.lock" in image
    assert re.search(r"^USER service$", image, re.MULTILINE)
    assert "read_only: true" in (ROOT / "compose.yaml").read_text()


FINE = {"name": "Some.Package", "version": "1.0", "vulns": []}
SMALL_LOCK = "some-package==1.0 \\\n    --hash=sha256:0\nwindows-only==2.0 ; sys_platform == 'win32'\n"


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        ([FINE], None),
        ([], "some-package: missing in the report"),
        ([FINE | {"vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}], "PYSEC-1, mended in 1.1"),
        ([FINE | {"vulns": [{"id": "PYSEC-1", "fix_versions": []}]}], "PYSEC-1, mended in no version yet"),
        ([{"name": "some-package", "skip_reason": "not found"}], "not looked up: not found"),
        ([FINE, {"name": "other", "skip_reason": "not found"}], "other: not looked up"),
    ],
)
def test_the_audit_passes_only_what_was_looked_up(
    tmp_path: Path, dependencies: list[dict[str, Any]], said: str | None
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(SMALL_LOCK)
    report = json.dumps({"dependencies": dependencies, "fixes": []})
    done = subprocess.run(
        [sys.executable, AUDIT, lock], input=report, capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if said is None else 1)
    assert (said or "") in done.stderr


def test_no_report_is_a_failure() -> None:
    done = subprocess.run(
        [sys.executable, AUDIT, "/dev/null"], input="", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no report" in done.stderr
