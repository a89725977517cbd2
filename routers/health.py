"""Whether the process lives, and whether it can work."""

from fastapi import APIRouter, Response

from models.responses import Health
from routers.dependencies import HealthOf

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
