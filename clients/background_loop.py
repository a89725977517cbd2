"""An event loop in a thread of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from clients.errors import ClientClosed

T = TypeVar("T")

_END: Any = object()


class BackgroundLoop:
    """Runs coroutines for blocking callers in any thread. What the caller breaks off is cancelled there."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._lock, self._is_stopping = threading.Lock(), False
        is_there = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(is_there,), name="text-to-video client", daemon=True
        )
        self._thread.start()
        is_there.wait()

    def _serve(self, is_there: threading.Event) -> None:
        # The runner cancels what is still under way at the end.
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            is_there.set()
            self._loop.run_forever()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. Raises what it raises, and ClientClosed once the loop has been stopped."""
        with self._lock:
            if self._is_stopping:
                work.close()
                raise ClientClosed("The client is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ClientClosed("The client was closed meanwhile") from None
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
            with suppress(ClientClosed):
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
            with self._lock:
                self._is_stopping = True
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
