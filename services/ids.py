"""Ids in order of time that nobody guesses."""

import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime

from ulid import ULID

_DRAWN_BITS = 79  # one less than there are, so that there is room above
_STEP_BITS = 64
_END = 2**80


class Ulids:
    """ULIDs, each greater than the one before, also within a millisecond and when the clock is set back.

    Within a millisecond the random part grows by a step of 64 random bits (RFC 9562, section 6.2, method 2,
    does so for UUIDs): with the usual step of one, who holds an id could name its neighbours.

    Args:
        clock: Milliseconds since the epoch.
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._random = 0

    def new(self) -> str:
        """26 characters of Crockford's base 32."""
        with self._lock:
            now = self._clock()
            random = self._random + 1 + secrets.randbits(_STEP_BITS)
            if now > self._milliseconds or random >= _END:
                self._milliseconds = max(now, self._milliseconds + 1)
                random = secrets.randbits(_DRAWN_BITS)
            self._random = random
            return str(ULID.from_bytes(self._milliseconds.to_bytes(6, "big") + random.to_bytes(10, "big")))


_ulids = Ulids()


def new_ulid() -> str:
    """A ULID greater than every other that this process has made."""
    return _ulids.new()


def new_write_token() -> str:
    """What a compare-and-set knows its own write by."""
    # Neither 24 hex digits nor a UUID: the embedded server reads those as ids of other types.
    return f"w_{secrets.token_hex(12)}"


def ulid_of(at: datetime) -> str:
    """The least ULID of this millisecond: smaller than each made then or later."""
    milliseconds = int(at.timestamp() * 1000)
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + bytes(10)))
