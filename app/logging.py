"""Logs on standard error: readable lines on a terminal, JSON elsewhere. Credentials are blotted out."""

import logging
import logging.config
import re
import sys
from typing import Literal, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRETS = re.compile(
    r"(?P<mongo>mongodb(\+srv)?://)[^\s@/]+@|\bhf_[A-Za-z0-9]{8,}|\bt2v_[A-Za-z0-9_-]{20,}|\bwhsec_[A-Za-z0-9+/=]{8,}|(?<=signature=)[0-9a-f]{16,}"
)


def configure_logging(
    level: Literal["debug", "info", "warning", "error"], log_format: Literal["auto", "console", "json"]
) -> None:
    """Send everything that is logged, by us and by libraries, through one handler."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if as_json
        else [
            structlog.processors.format_exc_info,
            cast(Processor, printable),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *renderers,
            cast(Processor, redact),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their news at these levels is not the operator's: each heartbeat, each chunk, "Started server process",
    # addresses of webhooks.
    for name in ("pymongo", "sse_starlette", "asyncio", "uvicorn.error", "httpx2"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what a caller could forge a line or a colour with, as JSON does by itself.

    A traceback keeps its lines, indented, so that none of them looks like an entry.
    """
    for key, value in event.items():
        if not isinstance(value, str):
            continue  # shown by its repr
        lines = value.split("\n") if key == "exception" else [value]
        escaped = [_escaped(line) for line in lines]
        event[key] = "\n".join(f"  {line}" for line in escaped) if key == "exception" else escaped[0]
    return event


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode()
        for each in text
    )


def redact(_logger: WrappedLogger, _method: str, line: str) -> str:
    """Blot out passwords in connection strings, Hugging Face tokens, API keys and link signatures.

    Comes last, so that tracebacks are read too.
    """
    return _SECRETS.sub(lambda match: f"{match['mongo']}***@" if match["mongo"] else "***", line)
