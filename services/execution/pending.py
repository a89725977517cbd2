"""What a worker was told to do and has not answered yet."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.execution.executor import WorkerLost, WorkerUnavailable
from services.execution.messages import Answer, News


@dataclass(eq=False)
class Pending:
    """One command; ``answer`` becomes what ends it."""

    answer: "asyncio.Future[Answer]"
    on_news: Callable[[News], None]
    has_started: bool = False


class PendingCommands:
    """By the id of their job. Load and UnloadIdle, which have none, have the key ``CONTROL``."""

    CONTROL = ""

    def __init__(self) -> None:
        self._commands: dict[str, Pending] = {}
        self._removed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, key: str) -> bool:
        return key in self._commands

    def add(self, key: str, on_news: Callable[[News], None]) -> Pending:
        pending = Pending(asyncio.get_running_loop().create_future(), on_news)
        self._commands[key] = pending
        return pending

    def remove(self, key: str) -> None:
        """Once its answer was taken, or is not waited for any more."""
        del self._commands[key]
        self._removed.set()

    async def until_removed(self) -> None:
        """Returns when a command was removed since the call."""
        self._removed.clear()
        await self._removed.wait()

    def tell(self, news: News) -> None:
        if (pending := self._commands.get(news.job_id)) is not None:
            pending.has_started = True
            pending.on_news(news)

    def end(self, key: str, answer: Answer) -> None:
        pending = self._commands.get(key)
        if pending is not None and not pending.answer.done():
            pending.answer.set_result(answer)

    def lose(self, how: str) -> None:
        """The worker ended: nothing is answered any more. What it had not taken up was not attempted."""
        for pending in self._commands.values():
            if pending.answer.done():
                continue
            if pending.has_started:
                pending.answer.set_exception(WorkerLost(f"the worker process ended: {how}"))
            else:
                why = f"the worker process ended before it took the job up: {how}"
                pending.answer.set_exception(WorkerUnavailable(why))
