import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.logging import redact

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
    first, second = (json.loads(line) for line in logged("json").splitlines())
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
    assert "RuntimeError" in text
    assert "hunter2" not in text
    assert "hf_abc" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb+srv://u:p@cluster.example/x", "mongodb+srv://***@cluster.example/x"),
        ("key t2v_abcdefghijklmnopqrstuvwxyz end", "key *** end"),
        ("?expires=1&signature=0123456789abcdef0123", "?expires=1&signature=***"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(None, "info", text) == shown
