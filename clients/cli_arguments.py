"""What may stand on the command line."""

import argparse
from collections.abc import Sequence
from typing import cast, get_args

from clients.records import Options, Quality, Status

COMMANDS = {
    "generate": "make a clip (the command itself may be left out)",
    "list": "list jobs, newest first",
    "show": "show a job",
    "watch": "follow a job until it has ended, then save its clip",
    "cancel": "cancel a job",
    "retry": "run a failed or cancelled job again, then save its clip",
    "download": "save a finished clip",
    "delete": "delete a job that has ended, and its clip",
    "models": "list models",
}
_DESCRIPTION = """\
Makes clips from text:  python -m clients.cli "a red circle moving left" -o out.mp4

The service is at T2V_URL, or --url, or http://127.0.0.1:8000; T2V_API_KEY is the API key where one is needed.
"""
_EXIT_CODES = """\
exit codes:
  0    done
  1    the job failed or was cancelled
  2    the command line or a parameter is not valid
  3    the service cannot be reached, or cannot work
  4    the service refused: no such job, a key that is missing or may not, a limit, a job in another state
  5    the file could not be written
  130  interrupted with Ctrl-C
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """``command`` and its arguments. Ends the process with 2 when they are not valid."""
    return _parser().parse_args(_with_command(argv))


def options_of(arguments: argparse.Namespace) -> Options:
    """The parameters of a clip that were given."""
    given = {name: getattr(arguments, name) for name in Options.__annotations__}
    given["metadata"] = dict(given["metadata"]) if given["metadata"] else None
    return cast(Options, given)


def _with_command(argv: Sequence[str]) -> list[str]:
    """The arguments, with ``generate`` where a prompt stands in the place of a command."""
    place = 0
    while place < len(argv) and argv[place].partition("=")[0] == "--url":
        place += 1 if "=" in argv[place] else 2
    if place < len(argv) and argv[place] not in (*COMMANDS, "-h", "--help"):
        return [*argv[:place], "generate", *argv[place:]]
    return list(argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clients.cli",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--url", help="the service's address")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    parsers = {}
    for name, summary in COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        parsers[name].add_argument("--url", default=argparse.SUPPRESS, help="the service's address")
        if name not in ("generate", "list", "models"):
            parsers[name].add_argument("id", help="a job's id, as in video_01…")
        if name in ("generate", "watch", "retry", "download"):
            parsers[name].add_argument("-o", "--output", default=".", help="file or folder (<id>.mp4 here)")
        if name in ("generate", "watch", "retry"):
            parsers[name].add_argument("-q", "--quiet", action="store_true", help="show no progress")
        if name in ("generate", "retry"):
            parsers[name].add_argument("--no-wait", action="store_true", help="print the id and end")
        if name not in ("delete", "download"):
            parsers[name].add_argument("--json", action="store_true", help="print records as JSON")
    _add_options(parsers["generate"])
    _add_filters(parsers["list"])
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what the clip shows")
    group = parser.add_argument_group("the clip", "What is left out takes the model's default.")
    group.add_argument("--negative-prompt", metavar="TEXT", help="what it should not show")
    group.add_argument("--model", metavar="NAME", help="a name from 'models'")
    group.add_argument("--width", type=int, metavar="PIXELS")
    group.add_argument("--height", type=int, metavar="PIXELS")
    group.add_argument("--num-frames", type=int, metavar="N")
    group.add_argument("--fps", type=int, metavar="N", help="frames a second")
    group.add_argument("--num-inference-steps", "--steps", type=int, metavar="N", help="denoising steps")
    group.add_argument("--guidance-scale", type=float, metavar="X")
    group.add_argument("--scheduler", metavar="NAME")
    group.add_argument(
        "--quality", choices=get_args(Quality), help="exact (the default), or sooner and not quite the same"
    )
    group.add_argument("--seed", type=int, metavar="N", help="equal seeds give equal clips")
    group.add_argument("--priority", type=int, metavar="N", help="-2 to 2; above 0 for administrators")
    group.add_argument("--webhook-url", metavar="URL", help="told when the job has ended")
    group.add_argument(
        "--metadata",
        type=_pair,
        action="append",
        metavar="KEY=VALUE",
        help="kept with the job; repeatable",
    )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (20)")
    parser.add_argument("--status", choices=get_args(Status))
    parser.add_argument("--model", metavar="NAME")
    parser.add_argument("-s", "--search", metavar="TEXT", help="in the prompt")


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    return key, value
