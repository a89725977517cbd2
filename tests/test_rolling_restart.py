"""Services that are replaced one after the other while they are in use."""

from pathlib import Path

import pytest

from tests.chaos.rolling import restart_in_turn
from tests.conftest import OUTSIDE_URI


@pytest.mark.skipif(OUTSIDE_URI is not None, reason="it brings its own databases")
@pytest.mark.parametrize("server", ["nx-27017", "secantus"])
async def test_a_rolling_restart_fails_no_request(server: str, tmp_path: Path) -> None:
    rolling = await restart_in_turn(tmp_path / "site", server, rounds=1)
    assert rolling.failed == []
    assert rolling.lost == []
    assert rolling.restarts == 2
    assert rolling.requests > 20
    assert set(rolling.attempts) == {1}, "running jobs were let finish"
