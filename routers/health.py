"""Whether the process lives, and whether it can work."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from models.responses import Health
from routers.dependencies import Answers, HealthOf, MetricsOf, errors, get_metrics_reader

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="Is the process alive?")
async def live() -> Health:
    return Health(status="ok")


@router.get(
    "/health/ready",
    summary="Can it do its work?",
    responses={503: {"model": Health, "description": "At least one check is not `ok`."}},
)
async def ready(response: Response, health: HealthOf) -> Health:
    checks = await health.checks()
    if all(check == "ok" for check in checks.values()):
        return Health(status="ok", checks=checks)
    response.status_code = 503
    return Health(status="unavailable", checks=checks)


_TEXT: Answers = {
    200: {
        "description": "Prometheus' text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/metrics", summary="Metrics", response_class=Response, responses=_TEXT | errors(401, 503))
async def metrics(metrics: MetricsOf, _reader: Annotated[None, Depends(get_metrics_reader)]) -> Response:
    """Open while the service listens on a loopback address or has no keys; otherwise any key will do."""
    body, media_type = await metrics.render()
    return Response(body, headers={"Content-Type": media_type})
