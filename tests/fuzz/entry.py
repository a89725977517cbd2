"""``python -m tests.fuzz.entry``: the scripted service, where wrong keys may be tried without end.

Checks of what is guarded try more of them in a minute than one address is otherwise allowed.
"""

import functools
import sys
from typing import Any

import app.lifespan
from services.failed_attempts import FailedAttempts
from tests.scripted_service import main

if __name__ == "__main__":
    lifespan: Any = app.lifespan
    lifespan.FailedAttempts = functools.partial(FailedAttempts, limit=10**9)
    sys.exit(main())
