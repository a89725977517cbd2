"""The service on the command line: ``python -m clients.cli "a red circle moving left" -o out.mp4``."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from clients.async_client import completed
from clients.cli_arguments import options_of, parse
from clients.client import Client
from clients.errors import (
    ApiError,
    ClientError,
    Conflict,
    CorruptDownload,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    ServerError,
    ServiceUnreachable,
    Unauthenticated,
    Unavailable,
)
from clients.records import Filters, Job, Range, note_of
from clients.terminal import Terminal

DONE, JOB_FAILED, USAGE, NO_SERVICE, REFUSED, NO_FILE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class Interrupted(Exception):
    """The user wants no more of it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code; ``--help`` says what they mean."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(quiet=getattr(arguments, "quiet", False))
    try:
        with Client(arguments.url) as client:
            _run(client, arguments, terminal)
            sys.stdout.flush()
    except BrokenPipeError:
        # Who reads the list has seen enough; Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Interrupted as reason:
        terminal.complain(str(reason))
        return INTERRUPTED
    except KeyboardInterrupt:
        terminal.complain("Interrupted.")
        return INTERRUPTED
    except (ClientError, OSError, ValueError) as error:
        terminal.complain(f"{_said(error)}{_hint(error)}")
        return exit_code(error)
    return DONE


def exit_code(error: Exception) -> int:
    match error:
        case JobFailed() | JobCancelled():
            return JOB_FAILED
        case InvalidRequest() | ValueError():
            return USAGE
        case Unavailable() | ServerError():
            return NO_SERVICE
        case ApiError():
            return REFUSED
        case OSError() | CorruptDownload():
            return NO_FILE
        case _:
            return NO_SERVICE


def _run(client: Client, arguments: argparse.Namespace, terminal: Terminal) -> None:
    match arguments.command:
        case "generate":
            _require_room_for(Path(arguments.output))
            job = client.create(arguments.prompt, **options_of(arguments))
            _finish(client, job, arguments, terminal)
        case "retry":
            _require_room_for(Path(arguments.output))
            _finish(client, client.retry(arguments.id), arguments, terminal)
        case "watch":
            _finish(client, client.get(arguments.id), arguments, terminal)
        case "list":
            _list(client, arguments, terminal)
        case "show":
            _show(client.get(arguments.id), arguments, terminal)
        case "cancel":
            _show(client.cancel(arguments.id), arguments, terminal)
        case "download":
            terminal.result(str(client.download(arguments.id, arguments.output)))
        case "delete":
            client.delete(arguments.id)
        case "models":
            _models(client, arguments, terminal)


def _finish(client: Client, job: Job, arguments: argparse.Namespace, terminal: Terminal) -> None:
    """See the job to its end, unless nobody waits, and save the clip."""
    if getattr(arguments, "no_wait", False):
        _print(job, job.id, arguments, terminal)
        return
    job = completed(_watch(client, job.id, terminal))
    path = client.download(job.id, arguments.output)
    if job.prompt_truncated:
        terminal.say(f"The prompt was too long for the model, which did not see: {job.dropped_text}")
    if job.unknown_words:
        terminal.say(f"Words that the model does not know: {', '.join(job.unknown_words)}")
    _print(job, str(path), arguments, terminal)


def _watch(client: Client, job_id: str, terminal: Terminal) -> Job:
    """The job once it has ended. Ctrl-C asks whether to cancel it. Raises Interrupted."""
    is_cancelling = False
    while True:
        try:
            with terminal.progress() as show:
                for update in client.follow(job_id):
                    show(update.job)
            if is_cancelling and update.job.status == "cancelled":
                raise Interrupted(f"{job_id} was cancelled.")
            return update.job
        except KeyboardInterrupt:
            choice = "leave" if is_cancelling else terminal.ask_to_cancel(job_id)
        if choice == "leave":
            raise Interrupted(f"{job_id} goes on: 'watch {job_id}' follows it, 'cancel {job_id}' stops it.")
        if choice == "cancel":
            is_cancelling = True
            # It may have ended while the question stood there, which the next round shows.
            with suppress(Conflict):
                client.cancel(job_id)


def _list(client: Client, arguments: argparse.Namespace, terminal: Terminal) -> None:
    filters = Filters(status=arguments.status, model=arguments.model, q=arguments.search)
    jobs = client.list(limit=arguments.limit, **filters)
    if arguments.json:
        for job in jobs:
            terminal.record(job)
        return
    rows = [
        (job.id, job.status, job.model, f"{job.created_at.astimezone():%Y-%m-%d %H:%M}", job.params.prompt)
        for job in jobs
    ]
    terminal.table(("id", "status", "model", "created", "prompt"), rows)


def _models(client: Client, arguments: argparse.Namespace, terminal: Terminal) -> None:
    models = client.models()
    if arguments.json:
        for model in models:
            terminal.record(model)
        return
    rows = [
        (
            f"{model.id} (default)" if model.default else model.id,
            f"{_span(model.limits.width)} x {_span(model.limits.height)}",
            _span(model.limits.num_frames),
            model.licence if model.commercial_use else f"{model.licence}, no commercial use",
            model.description,
        )
        for model in models
    ]
    terminal.table(("model", "size", "frames", "licence", "description"), rows)


def _show(job: Job, arguments: argparse.Namespace, terminal: Terminal) -> None:
    if arguments.json:
        terminal.record(job)
        return
    facts = {
        "id": job.id,
        "status": job.status,
        "model": job.model,
        "created": f"{job.created_at.astimezone()}",
    }
    if not job.is_final:
        facts["progress"] = note_of(job)
    if job.error is not None:
        facts["error"] = f"{job.error.code}: {job.error.message}"
    facts |= {name: str(value) for name, value in job.params.model_dump().items()}
    if job.video is not None:
        facts["clip"] = "expired" if job.file_expired else f"{job.video.size_bytes} bytes"
    for name, value in facts.items():
        terminal.result(f"{name:<20} {value}")


def _print(job: Job, text: str, arguments: argparse.Namespace, terminal: Terminal) -> None:
    if arguments.json:
        terminal.record(job)
    else:
        terminal.result(text)


def _span(limit: Range) -> str:
    if limit.minimum == limit.maximum:
        return f"{limit.minimum:g}"
    return f"{limit.minimum:g}-{limit.maximum:g}"


def _require_room_for(output: Path) -> None:
    """Before a clip is made that cannot be saved. Raises OSError."""
    folder = output if output.is_dir() else output.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"Nothing can be written to {folder}")


def _said(error: Exception) -> str:
    if isinstance(error, ApiError) and error.request_id and error.status >= 500:
        return f"{error} (request {error.request_id})"
    return str(error)


def _hint(error: Exception) -> str:
    match error:
        case Unauthenticated():
            return " The variable T2V_API_KEY holds the key."
        case ServiceUnreachable():
            return ". Is it running? --url or T2V_URL say where."
        case _:
            return ""


if __name__ == "__main__":
    sys.exit(main())
