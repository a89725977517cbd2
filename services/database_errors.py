"""What it means that the database does not answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo.errors import ConnectionFailure

from services.errors import Unavailable


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
