"""How often each owner may ask for a clip."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, MongoDBStorage

from services.database_errors import reachable
from services.errors import TooManyRequests

_POLICY = "create"
_TIMEOUTS: dict[str, Any] = {
    "serverSelectionTimeoutMS": 2_000,
    "connectTimeoutMS": 2_000,
    "socketTimeoutMS": 5_000,
}


@dataclass(frozen=True)
class Allowance:
    """What an owner may still do after a request.

    Attributes:
        allowed: Whether this request was within the limit.
        limit: Requests in a window of ``window_seconds``.
        remaining: Requests that are left of it now.
        reset_seconds: Seconds until one more is.
    """

    allowed: bool
    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "RateLimit-Policy": f'"{_POLICY}";q={self.limit};w={self.window_seconds}',
            "RateLimit": f'"{_POLICY}";r={self.remaining};t={self.reset_seconds}',
        }

    def require(self) -> None:
        """Raises TooManyRequests unless the request was allowed."""
        if not self.allowed:
            raise TooManyRequests(
                f"At most {self.limit} requests for clips are accepted within {self.window_seconds} seconds.",
                headers={"Retry-After": str(max(1, self.reset_seconds))},
            )


def parse_rate_limit(text: str) -> RateLimitItem | None:
    """``60/minute``, ``10 per 5 seconds``; nothing for no limit. Raises ValueError."""
    if not text.strip():
        return None
    try:
        item = parse(text)
    except ValueError:
        raise ValueError("has to read like 60/minute, 10/5 seconds or 1000/day") from None
    if item.amount < 1:
        raise ValueError("has to allow at least one request")
    return item


class RateLimits:
    """A moving window for each owner: never more than the limit in any window, wherever it begins."""

    def __init__(self, limit: RateLimitItem | None, storage: MemoryStorage | MongoDBStorage) -> None:
        self._limit = limit
        self._storage = storage

    async def hit(self, owner: str) -> Allowance | None:
        """Count a request; None where there is no limit. Raises DatabaseUnavailable."""
        if self._limit is None:
            return None
        key, amount, seconds = self._limit.key_for(owner), self._limit.amount, self._limit.get_expiry()
        async with reachable():
            allowed = await self._storage.acquire_entry(key, amount, seconds)
            oldest, count = await self._storage.get_moving_window(key, amount, seconds)
        # Of an empty window the storages tell different beginnings, or none.
        reset = oldest + seconds - time.time() if count else 0
        return Allowance(
            allowed=allowed,
            limit=amount,
            window_seconds=seconds,
            remaining=max(0, amount - count),
            reset_seconds=max(0, math.ceil(reset)),
        )


@asynccontextmanager
async def open_rate_limits(text: str, uri: str | None, database: str) -> AsyncIterator[RateLimits]:
    """Rate limits that all processes on one MongoDB share.

    Without a ``uri`` they are kept in this process's memory: the embedded server knows none of the operators
    that counting in the database needs ($not, update pipelines), and serves a single process of the API.
    A restart then forgives what was counted.

    Raises ValueError for a ``text`` that ``parse_rate_limit`` refuses.
    """
    limit = parse_rate_limit(text)
    if limit is None or uri is None:
        yield RateLimits(limit, MemoryStorage())
        return
    storage = MongoDBStorage(
        f"async+{uri}",
        database_name=database,
        counter_collection_name="rate_counters",
        window_collection_name="rate_windows",
        **_TIMEOUTS,
    )
    try:
        yield RateLimits(limit, storage)
    finally:
        await asyncio.to_thread(storage.storage.close)  # it says goodbye to the server first
