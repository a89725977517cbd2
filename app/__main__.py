"""``python -m app``: start the service, say what was started, stop it cleanly at SIGTERM or Ctrl-C."""

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from app.lifespan import State, chosen_model, open_services
from app.logging import configure_logging
from app.main import create_app
from app.server import Server
from app.settings import Settings
from authentication import Credentials
from services.catalogue import Catalogue
from services.device_probe import has_cuda
from services.instance_lock import DataFolderInUse, InstanceLock
from services.job_store import DatabaseUnavailable
from services.links import InvalidSigningKey
from services.mongo import DatabaseStartFailed, InvalidConnectionString

STARTED, FAILED, MISCONFIGURED = 0, 1, 2


class CannotStart(Exception):
    """Something that the operator can put right; the message says what."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main() -> int:
    try:
        settings, credentials = _configuration()
        configure_logging(settings.log_level, settings.log_format)
        _prepare(settings.data_dir)
        with ExitStack() as stack:
            # Before anything is started: a second instance leaves the first one's worker and database alone.
            listener = None
            if settings.role != "dispatcher":
                listener = stack.enter_context(_bind(settings.host, settings.port))
            if credentials.mongo is None:
                stack.enter_context(InstanceLock(settings.data_dir))
            asyncio.run(_run(settings, credentials, listener))
    except CannotStart as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except DatabaseUnavailable:
        print("error: the database at MONGO_URI cannot be reached", file=sys.stderr)
        return FAILED
    except (DataFolderInUse, DatabaseStartFailed, InvalidConnectionString, InvalidSigningKey) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped while starting", file=sys.stderr)
        return FAILED
    return STARTED


def _configuration() -> tuple[Settings, Credentials]:
    try:
        settings, credentials = Settings(), Credentials()
    except ValidationError as error:
        raise CannotStart("\n       ".join(_readable(error)), MISCONFIGURED) from None
    if settings.role != "all" and credentials.mongo is None:
        raise CannotStart(
            f"T2V_ROLE={settings.role} shares a database with other processes: set MONGO_URI", MISCONFIGURED
        )
    try:
        catalogue = Catalogue.create(chosen_model(settings))
    except ValueError as error:
        raise CannotStart(f"T2V_MODEL: {error}", MISCONFIGURED) from None
    try:
        catalogue.with_aliases(settings.aliases)
    except ValueError as error:
        raise CannotStart(f"T2V_MODEL_ALIASES: {error}", MISCONFIGURED) from None
    return settings, credentials


def _prepare(data_dir: Path) -> None:
    """Make the data folder for this user alone: prompts, clips and keys lie in it. Old ones stay so."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"the data folder {data_dir} cannot be made: {error.strerror}") from None
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise CannotStart(f"the data folder {data_dir} cannot be written to")


def _readable(error: ValidationError) -> list[str]:
    """One line a setting, without its value, which may be a secret."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        known = name in ("", "HF_TOKEN", "MONGO_URI")
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(message if not name else f"{name if known else f'T2V_{name}'}: {message}")
    return lines


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. Raises CannotStart."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise CannotStart(_why_not(host, port, error)) from None
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program: stop it, or set T2V_PORT"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


async def _run(settings: Settings, credentials: Credentials, listener: socket.socket | None) -> None:
    task = asyncio.current_task()
    if task is not None:
        _on_signals(lambda _: task.cancel())
    if listener is None:
        async with open_services(settings, credentials) as state:
            _announce(state, "no address: this process only runs jobs")
            await _until_stopped(state, None, None)
        return
    app = create_app(settings, credentials)
    async with app.router.lifespan_context(app) as opened:
        state = cast(State, opened)
        host, port = listener.getsockname()[:2]
        _announce(state, f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server = Server(app, state)
        serving = asyncio.create_task(server.run_on(listener))
        try:
            await _until_stopped(state, server, serving)
            await serving
        except OSError as error:
            raise CannotStart(_why_not(host, port, error)) from None
        finally:
            serving.cancel()


async def _until_stopped(state: State, server: Server | None, serving: asyncio.Task[None] | None) -> None:
    """Return when a signal begins the stop, or serving ends by itself. A second Ctrl-C hurries the rest."""
    stop = asyncio.Event()

    def on_signal(sign: signal.Signals) -> None:
        if not stop.is_set():
            print("stopping: running jobs may finish; Ctrl-C again stops them", file=sys.stderr)
            stop.set()
        elif sign is signal.SIGINT:
            state["hurry"].set()
            if server is not None:
                server.force_exit = True

    _on_signals(on_signal)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, serving} if serving else {stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    state["closing"].set()
    if server is not None:
        server.should_exit = True


def _on_signals(handler: Callable[[signal.Signals], object]) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, handler, sign)


def _announce(state: State, address: str) -> None:
    entry = state["catalogue"].default_entry
    settings = state["settings"]
    device = "none: only the API runs here"
    if settings.role != "api":
        device = f"{'CUDA' if has_cuda(settings.device) else 'CPU'} (the worker is starting)"
    lines = {
        "model": f"{entry.name} ({entry.licence}{'' if entry.commercial_use else ', no commercial use'})",
        "device": device,
        "database": state["database"].description,
        "clips": str(settings.data_dir / "videos"),
        "address": address,
    }
    if address.startswith("http"):
        lines["docs"] = f"{address}/docs"
    print("Text to video", *(f"  {name:<9} {value}" for name, value in lines.items()), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
