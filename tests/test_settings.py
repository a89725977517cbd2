import re
from pathlib import Path

import pytest

from app.settings import Settings

ENV_EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"


def example_lines() -> dict[str, str]:
    return dict(re.findall(r"^#? ?((?:T2V_|MONGO_|HF_)[A-Z_]+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))


def test_the_example_names_every_setting() -> None:
    settings = {f"T2V_{name.upper()}" for name in Settings.model_fields}
    assert set(example_lines()) == settings | {"MONGO_URI", "HF_TOKEN"}


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    defaults = Settings().model_dump()
    for name, value in example_lines().items():
        monkeypatch.delenv(name, raising=False)
        if name.startswith("T2V_") and value:
            monkeypatch.setenv(name, value)
    assert Settings().model_dump() == defaults


def test_a_value_out_of_range_names_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T2V_PORT", "70000")
    with pytest.raises(ValueError, match="port"):
        Settings()
