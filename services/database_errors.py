"""What it means that the database does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from pymongo.errors import AutoReconnect, ConnectionFailure, ServerSelectionTimeoutError

from services.errors import Unavailable

RETRY_SECONDS = 2.0
RETRY_PAUSE_SECONDS = 0.05

Result = TypeVar("Result")


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached; whether a write arrived is unknown."""

    code = "database_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The database cannot be reached. Try again in a few seconds.", headers={"Retry-After": "5"}
        )


@asynccontextmanager
async def reachable() -> AsyncIterator[None]:
    """Raises DatabaseUnavailable for what the driver raises when there is no answer."""
    try:
        yield
    except ConnectionFailure as error:
        raise DatabaseUnavailable from error


async def until_certain(attempt: Callable[[bool], Awaitable[Result]]) -> Result:
    """Run ``attempt`` again while connections break in its middle; it hears whether one did before.

    Raises DatabaseUnavailable.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    in_doubt = False
    async with reachable():
        while True:
            try:
                return await attempt(in_doubt)
            except ServerSelectionTimeoutError:
                raise
            except AutoReconnect:
                if time.monotonic() > deadline:
                    raise
                in_doubt = True
                await asyncio.sleep(RETRY_PAUSE_SECONDS)
