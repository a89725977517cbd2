"""Frees the device once nothing has run for a while."""

import asyncio
import logging

from services.execution.executor import ExecutionFailed, Executor, WorkerLost

logger = logging.getLogger(__name__)


class IdleUnload:
    """Knows since when nothing runs.

    Args:
        after_seconds: How long the models stay in memory without a job; 0 for ever.
    """

    def __init__(self, executor: Executor, after_seconds: float) -> None:
        self._executor = executor
        self._after_seconds = after_seconds
        self._since = 0.0

    def start_over(self) -> None:
        """From now on nothing runs."""
        self._since = asyncio.get_running_loop().time()

    async def run_if_due(self) -> None:
        """Unload all models if that is so for long enough. Call it only while no job runs."""
        if not self._after_seconds or not self._executor.loaded_models:
            return
        if asyncio.get_running_loop().time() - self._since < self._after_seconds:
            return
        try:
            await self._executor.unload()
        except (ExecutionFailed, WorkerLost) as error:
            logger.error("the models cannot be unloaded: %s", error)
        else:
            logger.info("the models are unloaded after %g seconds without a job", self._after_seconds)
