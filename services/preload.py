"""Brings the default model into memory before its first job."""

import asyncio
import logging

from services.catalogue_entry import CatalogueEntry
from services.execution.executor import ExecutionFailed, Executor, WorkerLost

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 60.0


class Preload:
    """Tries until it succeeds.

    Attributes:
        tried: Set once the first try has ended, or there will be none.
        succeeded: Whether the model has been in memory; it may have made room for another since.
        error: Why the last try failed; None before, and after a success.
    """

    def __init__(self, executor: Executor, model: CatalogueEntry) -> None:
        self._executor = executor
        self._model = model
        self.tried = asyncio.Event()
        self.succeeded = False
        self.error: str | None = None

    async def run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not await self._succeeds():
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _succeeds(self) -> bool:
        try:
            await self._executor.load(self._model)
        except (ExecutionFailed, WorkerLost) as error:
            self.error = str(error)
            logger.error("model %s cannot be loaded ahead of its first job: %s", self._model.name, error)
            return False
        else:
            self.succeeded, self.error = True, None
            logger.info("model %s is loaded", self._model.name)
            return True
        finally:
            self.tried.set()
