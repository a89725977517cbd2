"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["docs/security.md"])
def test_every_test_that_is_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    files = set(re.findall(r"tests/test_\w+\.py", text))
    assert len(files) > 10
    assert {file for file in files if not (ROOT / file).exists()} == set()
    tests = set(re.findall(r"`(test_\w+)`", text))
    known = set(re.findall(r"def (test_\w+)", "".join((ROOT / file).read_text() for file in files)))
    assert tests - known == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/security.md"])
def test_every_setting_and_target_that_is_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    settings = set(re.findall(r"\bT2V_[A-Z_]+[A-Z]\b", text))
    known = set(re.findall(r"\bT2V_[A-Z_]+\b", (ROOT / ".env.example").read_text()))
    clients = "".join(path.read_text() for path in (ROOT / "clients").glob("*.py"))
    assert settings <= known | set(re.findall(r"\"(T2V_[A-Z_]+)\"", clients))
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/security.md"])
def test_every_link_leads_to_a_file(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target
