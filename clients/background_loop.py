"""An event loop in a thread of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


class BackgroundLoop:
    """Runs coroutines for blocking callers in any thread. What the caller breaks off is cancelled there."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="text-to-video client", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. Raises what it raises, and RuntimeError once stopped."""
        if not self._thread.is_alive():
            work.close()
            raise RuntimeError("The client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, items: AsyncGenerator[T]) -> Iterator[T]:
        """Its items, each made when asked for."""

        # One that is broken off while it makes an item needs a moment to end, before it can be closed.
        turn = asyncio.Lock()

        async def following() -> T:
            async with turn:
                return await anext(items, _END)

        async def closing() -> None:
            async with turn:
                await items.aclose()

        try:
            while (item := self.run(following())) is not _END:
                yield item
        finally:
            if self._thread.is_alive():
                self.run(closing())

    def stop(self, last: Coroutine[Any, Any, object]) -> None:
        """Run ``last``, then end; at once where the garbage collector calls, from the loop's own thread."""
        if threading.current_thread() is self._thread:
            last.close()
            self._loop.stop()
            return
        try:
            self.run(last)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
