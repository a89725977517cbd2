"""Puts the application together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.body_limit import BodyLimit
from app.docs import add_docs
from app.error_handlers import add_error_handlers
from app.header_limit import HeaderLimit
from app.lifespan import GENERATOR, State, open_services
from app.middleware import REQUEST_ID, RequestContext
from app.openai_errors import document_translated
from app.page import PageConfig, add_page
from app.security_headers import SecurityHeaders
from app.settings import Settings, listed
from app.trusted_hosts import TrustedHosts
from authentication import Credentials
from models.responses import ErrorEnvelope
from routers import (
    dependencies,
    health,
    jobs,
    keys,
    metrics,
    models,
    openai_models,
    openai_videos,
    videos,
    webhooks,
)
from routers.variants import SPRITESHEET

MAX_BODY_BYTES = 2**20
# No model takes an image, but who sends one along is to learn that, not that it is large.
MAX_UPLOAD_BYTES = {"/v1/videos": 8 * 2**20}
VERSION = "0.1.0"

_DESCRIPTION = """\
Post a prompt, follow the job, fetch the clip:

```
curl localhost:8000/videos -H 'content-type: application/json' -d '{"prompt": "a red circle moving left"}'
curl localhost:8000/jobs/<id>
curl -o clip.mp4 localhost:8000/videos/<id>
```

Every error has the same shape: `{"error": {"message", "type", "param", "code"}}`.
"""

_EXPOSED_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    SPRITESHEET,
    REQUEST_ID,
    openai_videos.POLL_AFTER,
)


def create_app(
    settings: Settings, credentials: Credentials | None = None, generator: str = GENERATOR
) -> FastAPI:
    """The service as an ASGI application; its lifespan opens and closes everything it needs.

    ``credentials`` are read from the environment where none are given.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        async with open_services(settings, credentials or Credentials(), generator) as state:
            yield state

    app = FastAPI(
        title="Text to video",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        responses={422: {"model": ErrorEnvelope}},
        webhooks=webhooks.events,
    )
    add_error_handlers(app)
    for router in (
        videos.router,
        jobs.router,
        webhooks.router,
        models.router,
        openai_models.router,
        openai_videos.router,
        keys.router,
        health.router,
    ):
        needs_database = router not in (health.router, models.router, openai_models.router)
        guard = [Depends(dependencies.require_database)] if needs_database else []
        app.include_router(router, dependencies=guard)
    if settings.metrics:
        app.include_router(metrics.router)
    if settings.page:
        add_page(app, PageConfig(keys=settings.keys.required, docs=settings.docs))
    if settings.docs:
        add_docs(app)
    document_translated(app)
    app.add_middleware(
        BodyLimit,
        max_bytes=MAX_BODY_BYTES,
        max_seconds=settings.client_timeout_seconds,
        uploads=MAX_UPLOAD_BYTES,
    )
    app.add_middleware(HeaderLimit)
    if (hosts := settings.answers_to) is not None:
        app.add_middleware(TrustedHosts, hosts=hosts)
    app.add_middleware(RequestContext)
    if origins := listed(settings.cors_origins):
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED_HEADERS,
        )
    app.add_middleware(SecurityHeaders)
    if not settings.keys.required:
        _document_no_security(app)
    return app


def _document_no_security(app: FastAPI) -> None:
    """Without keys nothing needs one, and the documentation must not ask for any."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.get("components", {}).pop("securitySchemes", None)
        for operations in document["paths"].values():
            for operation in operations.values():
                operation.pop("security", None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
