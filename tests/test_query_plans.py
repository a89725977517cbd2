"""That no query reads the whole history."""

from typing import Any

import pytest

from models.job import JobStatus
from services.job_queries import PLACE, SORT_ID, JobQuery, equal
from services.job_store import JobStore, utc_now
from services.mongo import Database
from tests.jobs import queued_job

NOW = utc_now()
QUERIES: dict[str, tuple[dict[str, Any], str]] = {
    "claim": ({"status": "queued"}, PLACE),
    "ahead in the queue": ({"status": "queued", PLACE: {"$lt": "2_"}}, PLACE),
    "greatest seat": ({"seat": {"$gte": "seat_a_", "$lt": "seat_a_:"}}, "seat"),
    "an owner's queue": (equal(status="queued", owner="a"), SORT_ID),
    "an owner's jobs": (JobQuery(owner="a").to_filter(), SORT_ID),
    "next page": (JobQuery(owner="a", after="video_1").to_filter(), SORT_ID),
    "by status": (
        JobQuery(owner="a", status=JobStatus.FAILED).to_filter(),
        SORT_ID,
    ),
    "searched": (JobQuery(owner="a", q="red").to_filter(), SORT_ID),
    "by time": (
        JobQuery(owner="a", created_after=NOW, created_before=NOW).to_filter(),
        SORT_ID,
    ),
    "average of a model": (equal(model="demo", status="completed"), SORT_ID),
    "oldest": ({SORT_ID: {"$lt": "video_1"}}, SORT_ID),
}
SECANTUS_SCANS = ("searched", "by time")
"""It uses no index where one condition has none."""


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_uses_an_index(name: str, database: Database, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["mongo_uri"] == "secantus" and name in SECANTUS_SCANS:
        pytest.skip("SecantusDB reads the whole collection for it")
    store = JobStore(database)
    await store.create_indexes()
    await store.insert(queued_job())
    fields, sort = QUERIES[name]
    command = {"find": "jobs", "filter": fields, "sort": {sort: 1}, "limit": 10}
    answer = await database.motor.command("explain", command, verbosity="queryPlanner")
    plan = str(answer["queryPlanner"]["winningPlan"])
    assert "COLLSCAN" not in plan
    assert "SCAN jobs" not in plan
