"""What a log line shows, and what nobody makes it show."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.logging import printable, redact
from tests.running_service import running_service

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import logging, sys
from structlog.contextvars import bound_contextvars
from app.logging import configure_logging
configure_logging("info", sys.argv[1])
log = logging.getLogger("services.somewhere")
with bound_contextvars(request_id="req_1"):
    log.info("job %s starts", "video_A", extra={"job_id": "video_A"})
log.debug("not shown")
log.info("before\\n%s", "forged\\u2028line", extra={"path": "/\\nforged"})
try:
    raise RuntimeError("cannot reach mongodb://me:hunter2@host/db")
except RuntimeError:
    log.exception("failed with hf_abcdefghijklmnop")
"""


def logged(log_format: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, log_format], cwd=ROOT, capture_output=True, text=True, check=True
    ).stderr


def test_json_lines_carry_ids_and_no_secrets() -> None:
    first, forged, second = (json.loads(line) for line in logged("json").splitlines())
    assert (forged["event"], forged["path"]) == ("before\nforged\u2028line", "/\nforged")
    assert first["event"] == "job video_A starts"
    assert (first["request_id"], first["job_id"], first["level"]) == ("req_1", "video_A", "info")
    assert first["logger"] == "services.somewhere"
    assert "request_id" not in second
    assert "mongodb://***@host/db" in second["exception"]
    assert "hunter2" not in json.dumps(second)
    assert second["event"] == "failed with ***"


def test_console_lines_carry_ids_and_no_secrets() -> None:
    text = logged("console")
    assert "job video_A starts" in text
    assert "request_id=req_1" in text
    assert "\n  RuntimeError: cannot reach mongodb://***@host" in text
    assert "before\\nforged\\u2028line" in text
    assert not [line for line in text.splitlines() if line.startswith("forged")]
    assert "hunter2" not in text
    assert "hf_abc" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb+srv://u:p@cluster.example/x", "mongodb+srv://***@cluster.example/x"),
        ("key t2v_abcdefghijklmnopqrstuvwxyz end", "key *** end"),
        ("whsec_AAECAwQFBgcICQoLDA0ODw== end", "*** end"),
        ("?expires=1&signature=0123456789abcdef0123", "?expires=1&signature=***"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(None, "info", text) == shown


FORGED = (
    "\n2026-01-01T00:00:00Z [error    ] the disk is empty\r\n\x1b[2J\x1b[31mred\u2028line\x85next\u202eleft"
)


@pytest.mark.parametrize("key", ["event", "path", "exception"])
def test_nothing_forges_a_line_on_a_terminal(key: str) -> None:
    shown = printable(None, "info", {key: f"before{FORGED}", "number": 1})
    assert shown["number"] == 1
    text = shown[key]
    assert text.replace("\n", "").isprintable()
    lines = text.splitlines()
    assert len(lines) == (3 if key == "exception" else 1)
    if key == "exception":
        assert all(line.startswith("  ") for line in lines)
    assert "\\x1b[31mred\\u2028line\\x85next\\u202eleft" in text


def test_a_plain_text_stays_as_it_is() -> None:
    text = "日本語 🎉 é \\ path"
    assert printable(None, "info", {"event": text}) == {"event": text}


def test_callers_write_no_lines_and_no_secrets(tmp_path: Path) -> None:
    """Newlines, colours and keys in headers, paths, queries, prompts and bodies, on the whole service."""
    key = "t2v_" + "k" * 43
    spoilt = "%0aFORGED%0d%0a%1b%5b31mFORGED%e2%80%a8FORGED"
    with running_service(
        tmp_path / "data", {"T2V_LOG_FORMAT": "console", "T2V_LOG_LEVEL": "debug"}
    ) as service:
        client = service.client
        client.get(f"/jobs/{spoilt}", headers={"x-request-id": "FORGED a"})
        client.get(f"/{spoilt}?q={spoilt}", headers={"authorization": f"Bearer {key}"})
        client.get("/jobs", headers=[(b"x-request-id", b"FORGED\xe2\x80\xa8"), (b"x-api-key", key.encode())])
        client.get(f"/jobs/{key}")
        client.get("/videos/x?expires=1&signature=" + "a" * 64)
        client.post("/videos", content=b"\n FORGED", headers={"content-type": "application/json"})
        job = service.create(prompt=f"a red circle\nFORGED\r\n{key}", metadata={"note": "\nFORGED"})
        service.wait_for(job["id"], "completed")
        service.stop()
        output = service.output
    assert key not in output
    assert "a" * 64 not in output
    assert "/jobs/***" in output
    assert r"/jobs/\nFORGED\r\n\x1b[31mFORGED\u2028FORGED" in output
    assert "\x1b" not in output
    assert "\u2028" not in output
    assert not [line for line in output.splitlines() if re.match(r"\W*FORGED", line)]
