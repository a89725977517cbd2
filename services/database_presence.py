"""Whether the database can be reached, as the driver knows already: asking costs nothing."""

import asyncio
import time

from pymongo.topology_description import TopologyDescription

from services.database_errors import DatabaseUnavailable, reachable
from services.mongo import Database

_PAUSE_SECONDS = 0.2


class DatabasePresence:
    """Lets requests fail at once while the database is away, instead of each waiting for it in turn.

    The driver hands every operation to one of a few threads, where it waits for a server. Without this, what
    many callers ask during an outage would queue up behind each other.

    Args:
        grace_seconds: How long the database may be away before callers are told: a connection that breaks is
            mostly there again within milliseconds.
    """

    def __init__(self, database: Database, grace_seconds: float = 0.5) -> None:
        self._database = database
        self._grace_seconds = grace_seconds
        self._away_since: float | None = None

    def require(self) -> None:
        """Raises DatabaseUnavailable while the database is away."""
        topology: TopologyDescription = self._database.motor.client.delegate.topology_description
        if topology.has_writable_server():
            self._away_since = None
            return
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since > self._grace_seconds:
            raise DatabaseUnavailable

    async def wait(self, seconds: float) -> None:
        """Return once the database answers. Raises DatabaseUnavailable after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                async with reachable():
                    await self._database.motor.command("ping")
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return
