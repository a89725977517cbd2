"""Health, readiness, metrics and models."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from tests.generators import ABSENT, BROKEN
from tests.live_api import LiveApi, live_api
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("health")) as api:
        yield api


async def is_ready(api: LiveApi) -> bool:
    return (await api.client.get("/health/ready")).status_code == 200


async def metric(api: LiveApi, name: str) -> float:
    text = (await api.client.get("/metrics")).text
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0.0


async def test_ready_once_the_model_is_loaded(api: LiveApi) -> None:
    await eventually(lambda: is_ready(api))
    answer = await api.client.get("/health/ready")
    assert answer.json() == {"status": "ok", "checks": {"database": "ok", "worker": "ok", "model": "ok"}}
    assert (await api.client.get("/health/live")).json()["status"] == "ok"


async def test_models_say_what_may_be_asked_of_them(api: LiveApi) -> None:
    await eventually(lambda: is_ready(api))
    models = {model["id"]: model for model in (await api.client.get("/models")).json()["data"]}
    assert models.keys() >= {"text-to-video-ms-1.7b", "zeroscope_v2_576w", "demo"}
    demo, reference = models["demo"], models["text-to-video-ms-1.7b"]
    assert (demo["default"], demo["loaded"]) == (True, True)
    assert (reference["default"], reference["loaded"], reference["commercial_use"]) == (False, False, False)
    assert reference["limits"]["width"] == {"minimum": 128, "maximum": 1024, "multiple_of": 64}
    assert reference["defaults"]["num_inference_steps"] == 25
    assert "dpm++" in reference["schedulers"]
    tiers = {tier.pop("quality"): tier for tier in reference["tiers"]}
    assert list(tiers) == ["exact", "balanced", "fast"]
    exact, fast = tiers["exact"], tiers["fast"]
    assert (exact["num_inference_steps"], exact["cache_interval"], exact["guidance_sigmas"]) == (25, 1, None)
    assert fast["num_inference_steps"] < 25
    assert (await api.client.get("/models/demo")).json() == demo
    unknown = await api.client.get("/models/sora")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


async def test_metrics_count_jobs_and_requests(api: LiveApi) -> None:
    completed = 't2v_jobs_total{model="demo",status="completed"}'
    requests = 't2v_http_requests_total{method="GET",route="/jobs/{id}",status="404"}'
    before = await metric(api, completed), await metric(api, requests)
    job = await api.finished()
    await api.client.get("/jobs/video_unknown")
    await api.client.get("/jobs/video_another")
    assert await metric(api, completed) == before[0] + 1
    assert await metric(api, requests) == before[1] + 2
    assert await metric(api, 't2v_job_stage_seconds_count{model="demo",stage="denoise"}') >= 1
    assert job["id"] not in (await api.client.get("/metrics")).text


async def test_metrics_show_the_queue(api: LiveApi) -> None:
    running = await api.waiting()
    queued = [await api.create() for _ in range(3)]
    assert await metric(api, "t2v_jobs_queued") == 3
    await api.cancel(running["id"])
    for job in queued:
        await api.until(job["id"], "completed")
    assert await metric(api, "t2v_jobs_queued") == 0


async def test_a_request_keeps_its_callers_id(api: LiveApi) -> None:
    assert (await api.client.get("/models", headers={"x-request-id": "abc-123"})).headers[
        "x-request-id"
    ] == "abc-123"
    for spoilt in ("a b", "x" * 129, "é"):
        answer = await api.client.get("/models", headers=[("x-request-id", spoilt.encode())])
        assert answer.headers["x-request-id"].startswith("req_")


async def test_not_ready_without_a_worker(tmp_path: Path) -> None:
    async with live_api(tmp_path, generator=BROKEN) as api:
        answer = await api.client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unavailable"
        assert answer.json()["checks"]["worker"] != "ok"
        assert answer.json()["checks"]["database"] == "ok"


async def test_not_ready_without_the_model_until_it_comes(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    async with live_api(tmp_path, generator=ABSENT, checkpoint_cache=checkpoints) as api:

        async def says_why() -> bool:
            answer = await api.client.get("/health/ready")
            return bool(answer.json()["checks"]["model"] == "the checkpoint is missing")

        await eventually(says_why)
        failed = await api.until((await api.create())["id"], "failed")
        assert failed["error"]["code"] == "model_unavailable"
        checkpoints.touch()
        await eventually(lambda: is_ready(api))


async def test_the_api_alone_runs_no_jobs(mongo_uri: str, tmp_path: Path, database_name: str) -> None:
    """An API and a dispatcher of their own, on one database."""
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    async with live_api(tmp_path, mongo=mongo_uri, role="api", database=database_name) as api:
        assert {child.pid for child in psutil.Process().children(recursive=True)} == children
        job = await api.create()
        assert (await api.client.get("/health/ready")).json()["checks"] == {"database": "ok"}
        assert (await api.job(job["id"]))["status"] == "queued"
        async with live_api(tmp_path, mongo=mongo_uri, role="dispatcher", database=database_name):
            await api.until(job["id"], "completed")
        assert (await api.client.get(f"/videos/{job['id']}")).status_code == 200
        await api.state["database"].motor.client.drop_database(database_name)
