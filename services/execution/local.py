"""An executor of one worker process on this machine, started anew whenever it dies."""

import asyncio
import logging
from collections.abc import Callable

from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed, WorkerLost, WorkerUnavailable
from services.execution.messages import (
    Answer,
    Cancel,
    Cancelled,
    Command,
    Completed,
    DeviceDone,
    Done,
    Event,
    Failed,
    GenerationRequest,
    GeneratorConfig,
    Load,
    ModelsChanged,
    News,
    Progress,
    Ready,
    Run,
    Shutdown,
    Started,
    UnloadIdle,
)
from services.execution.pending import Pending, PendingCommands
from services.execution.process import WorkerProcess, describe_exit

logger = logging.getLogger(__name__)

_FAILED_STARTS_TOLERATED = 3
_LONGEST_BACKOFF_SECONDS = 30.0


class LocalExecutor:
    """Makes clips in a child process, which alone loads torch and holds the device.

    Args:
        generator: ``package.module:Class`` of the Generator, imported in the worker alone.
        cancel_grace_seconds: How long a worker may take to obey a cancellation before it is killed.
        start_timeout_seconds: How long a worker may take to start.
        first_backoff_seconds: Pause after a worker that died while starting; doubled each time in a row.
    """

    def __init__(
        self,
        generator: str,
        config: GeneratorConfig,
        *,
        cancel_grace_seconds: float = 10.0,
        start_timeout_seconds: float = 120.0,
        first_backoff_seconds: float = 0.5,
    ) -> None:
        self._generator = generator
        self._config = config
        self._cancel_grace = cancel_grace_seconds
        self._start_timeout = start_timeout_seconds
        self._first_backoff = first_backoff_seconds
        self._gate = asyncio.Lock()
        self._ready = asyncio.Event()
        self._has_started = False
        self._failed_starts = 0
        self._device = "starting"
        self._loaded: tuple[str, ...] = ()
        self._process: WorkerProcess | None = None
        self._started = False
        self._pending = PendingCommands()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def slots(self) -> int:
        return 1

    @property
    def device(self) -> str:
        return self._device

    @property
    def loaded_models(self) -> tuple[str, ...]:
        return self._loaded

    @property
    def healthy(self) -> bool:
        return self._ready.is_set() or (self._has_started and self._failed_starts < _FAILED_STARTS_TOLERATED)

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, or None while there is none."""
        return self._process.pid if self._process is not None else None

    async def __aenter__(self) -> "LocalExecutor":
        self._supervisor = asyncio.create_task(self._supervise(), name="worker supervisor")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        if (process := self._process) is not None:
            process.send(Shutdown())
            # One that is still starting, or busy although nobody waits any more, would not listen.
            idle = self._ready.is_set() and not self._pending
            await process.wait(self._cancel_grace if idle else 0)
            self._forget(process)

    async def load(self, model: CatalogueEntry) -> None:
        """Preload a model, when no clip is being made. Raises ExecutionFailed, or WorkerLost."""
        await self._control(Load(model))

    async def unload(self) -> None:
        """Free every model, when no clip is being made. Raises ExecutionFailed, or WorkerLost."""
        await self._control(UnloadIdle())

    async def run(self, request: GenerationRequest, on_news: Callable[[News], None]) -> Completed:
        """Make one clip; see ``Executor.run``."""
        async with self._gate:
            while request.job_id in self._pending:  # an earlier attempt that is being stopped
                await self._pending.until_removed()
            process = await self._ready_process()
            pending = self._send(process, request.job_id, Run(request), on_news)
        answer = await self._answer(process, request.job_id, pending)
        if not isinstance(answer, Completed):
            raise WorkerLost(f"the worker answered {type(answer).__name__} without being asked to")
        return answer

    async def _control(self, command: Load | UnloadIdle) -> None:
        """Runs that come meanwhile wait: stopping this command may mean killing the worker."""
        async with self._gate:
            while self._pending:
                await self._pending.until_removed()
            process = await self._ready_process()
            pending = self._send(process, PendingCommands.CONTROL, command, _ignore)
            await self._answer(process, PendingCommands.CONTROL, pending)

    def _send(
        self, process: WorkerProcess, key: str, command: Command, on_news: Callable[[News], None]
    ) -> Pending:
        pending = self._pending.add(key, on_news)
        process.send(command)
        return pending

    async def _answer(self, process: WorkerProcess, key: str, pending: Pending) -> Answer:
        try:
            await asyncio.wait({pending.answer})
        except asyncio.CancelledError:
            await self._stop(process, key, pending.answer)
            raise
        finally:
            self._pending.remove(key)
        answer = pending.answer.result()
        if isinstance(answer, Failed):
            raise ExecutionFailed(answer.code, answer.message)
        return answer

    async def _ready_process(self) -> WorkerProcess:
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._ready.wait()
        except TimeoutError:
            raise WorkerUnavailable("no worker could be started") from None
        if self._process is None:
            raise WorkerUnavailable("the worker ended before it was given the job")
        return self._process

    async def _stop(self, process: WorkerProcess, key: str, answer: "asyncio.Future[Answer]") -> None:
        """Make the worker end the command, by asking where it listens, else by killing it."""
        try:
            if key != PendingCommands.CONTROL:
                process.send(Cancel(key))
                await asyncio.wait({answer}, timeout=self._cancel_grace)
        finally:
            if not answer.done():
                logger.warning("worker %d does not stop and is killed", process.pid)
                # At once: nobody may be handed a worker that is about to die.
                self._ready.clear()
                process.kill()
                await asyncio.wait({process.exited})
            if answer.done():
                answer.exception()

    async def _supervise(self) -> None:
        """Keep one worker alive."""
        while True:
            self._started = False
            try:
                self._process = process = WorkerProcess(self._generator, self._config, self._handle)
            except OSError:
                logger.exception("the worker process cannot be started")
            else:
                logger.info("worker %d starts", process.pid)
                await asyncio.wait({process.exited}, timeout=self._start_timeout)
                if not self._started:
                    process.kill()
                await asyncio.wait({process.exited})
                logger.error("worker %d ended: %s", process.pid, describe_exit(process.exited.result()))
                self._forget(process)
            if not self._started:
                pause = min(self._first_backoff * 2**self._failed_starts, _LONGEST_BACKOFF_SECONDS)
                self._failed_starts += 1
                await asyncio.sleep(pause)

    def _handle(self, event: Event) -> None:
        match event:
            case Ready(device):
                self._device = device
                self._started = self._has_started = True
                self._failed_starts = 0
                self._ready.set()
                logger.info("the worker is ready on %s", device)
            case ModelsChanged(loaded):
                self._loaded = loaded
            case Started() | Progress() | DeviceDone():
                self._pending.tell(event)
            case Completed(job_id) | Failed(job_id) | Cancelled(job_id):
                self._pending.end(job_id, event)
            case Done():
                self._pending.end(PendingCommands.CONTROL, event)

    def _forget(self, process: WorkerProcess) -> None:
        """The worker is gone; whoever waits for its answers learns so."""
        self._ready.clear()
        self._process = None
        self._loaded = ()
        self._pending.lose(describe_exit(process.exited.result()))


def _ignore(news: News) -> None:
    """A command of no job has no news."""
