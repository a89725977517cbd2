"""What it means that the database does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    CursorNotFound,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from services.errors import Unavailable

RETRY_SECONDS = 1.5
RETRY_PAUSE_SECONDS = 0.05
_OUT_OF_DISK_SPACE = 14031

Result = TypeVar("Result")


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached; whether a write arrived is unknown."""

    code = "database_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The database cannot be reached. Try again in a few seconds.", headers={"Retry-After": "5"}
        )


class DatabaseFull(DatabaseUnavailable):
    """The database's disk is full: it reads, and writes nothing."""

    code = "database_full"

    def __init__(self) -> None:
        super().__init__()
        self.message = "The database has no room left. Free space on its disk, then try again."


@asynccontextmanager
async def reachable() -> AsyncIterator[None]:
    """Raises DatabaseUnavailable for what the driver raises when there is no answer, or no room."""
    try:
        yield
    # A cursor is lost with the server that held it.
    except (ConnectionFailure, CursorNotFound) as error:
        raise DatabaseUnavailable from error
    except OperationFailure as error:
        # The embedded server has no code for it.
        if error.code == _OUT_OF_DISK_SPACE or "disk is full" in str(error):
            raise DatabaseFull from error
        raise


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
