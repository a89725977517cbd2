"""Knowing that the database is away without asking it."""

import time
from pathlib import Path

import pytest

from services.database_errors import DatabaseUnavailable
from services.database_presence import DatabasePresence
from services.mongo import connect, free_port
from tests.conftest import OUTSIDE_URI, listening, server_command
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(OUTSIDE_URI is not None, reason="it kills its database")


def is_away(presence: DatabasePresence) -> bool:
    try:
        presence.require()
    except DatabaseUnavailable:
        return True
    return False


@pytest.mark.parametrize("kind", ["nx-27017", "secantus"])
async def test_it_sees_a_server_go_and_come_back(kind: str, tmp_path: Path) -> None:
    port = free_port()
    command = server_command(kind, tmp_path / "server", port)
    async with connect(f"mongodb://127.0.0.1:{port}", "presence") as database:
        presence = DatabasePresence(database, grace_seconds=0.1)
        with listening(command, port, tmp_path / "log"):
            await presence.wait(20)
            presence.require()
        await eventually(lambda: is_away(presence))
        with listening(command, port, tmp_path / "log"):
            # Nobody asks the server anything meanwhile but the driver's own watch.
            await eventually(lambda: not is_away(presence))
            await presence.wait(0)


async def test_a_server_that_never_answers_is_waited_for_so_long_and_no_longer() -> None:
    async with connect(f"mongodb://127.0.0.1:{free_port()}", "nowhere") as database:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await DatabasePresence(database).wait(0.5)
        assert time.monotonic() - began < 3
