"""What Prometheus reads."""

from fastapi import APIRouter, Response

from routers.dependencies import Admin, Answers, MetricsOf, errors

router = APIRouter(tags=["health"])

_TEXT: Answers = {
    200: {
        "description": "Prometheus' text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/metrics", summary="Metrics", response_class=Response, responses=_TEXT | errors(401, 403, 429, 503)
)
async def metrics(metrics: MetricsOf, _admin: Admin) -> Response:
    """Where keys are on, one with the scope `admin` is needed."""
    body, media_type = await metrics.render()
    return Response(body, headers={"Content-Type": media_type})
