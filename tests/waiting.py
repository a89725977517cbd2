"""Waiting for a state without sleeping blindly."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(
    predicate: Callable[[], Any | Awaitable[Any]],
    timeout: float = 60.0,
    message: str = "",
    interval: float = 0.02,
) -> Any:
    """Poll ``predicate`` until it answers something true and return that.

    Raises AssertionError after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(message or f"not true within {timeout:g} s")
        await asyncio.sleep(interval)
