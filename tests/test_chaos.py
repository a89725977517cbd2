"""The short form of the chaos run; ``make chaos`` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.report import print_outcome
from tests.chaos.run import SCRIPTED, Stage, run_stage
from tests.conftest import OUTSIDE_URI

SEED = "short"


@pytest.mark.skipif(OUTSIDE_URI is not None, reason="it kills its database")
@pytest.mark.parametrize(("server", "services"), [("embedded", 1), ("nx-27017", 2), ("secantus", 2)])
async def test_nothing_is_lost(server: str, services: int, tmp_path: Path) -> None:
    stage = Stage(
        "short",
        server,
        SCRIPTED,
        jobs=15,
        kills=4,
        pauses=1,
        points=3,
        services=services,
        clients=3,
        lease_seconds=1.5,
        pause_seconds=0.3,
    )
    outcome = await run_stage(stage, SEED, tmp_path / "site")
    print_outcome(outcome)
    assert outcome.audit.findings.total == 0, outcome.audit.findings
    assert outcome.accepted >= stage.jobs
    assert outcome.kills.total() >= stage.kills
    assert outcome.pauses >= stage.pauses
