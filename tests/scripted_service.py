"""``python -m tests.scripted_service``: as ``python -m app`` with ``tests.generators.ScriptedGenerator``."""

import functools
import sys
from typing import Any

import app.__main__ as start
from app.lifespan import open_services
from app.main import create_app
from tests.generators import SCRIPTED


def main() -> int:
    entry: Any = start
    entry.create_app = functools.partial(create_app, generator=SCRIPTED)
    entry.open_services = functools.partial(open_services, generator=SCRIPTED)
    return start.main()


if __name__ == "__main__":
    sys.exit(main())
