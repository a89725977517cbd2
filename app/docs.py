"""The API's documentation for people: Swagger UI, served from here, without a script from elsewhere."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).resolve().parent / "static"


class Assets(StaticFiles):
    """Files that browsers may keep, but ask about each time: they change with the service's version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_docs(app: FastAPI) -> None:
    """``/docs`` with what it loads, and ``/``, which leads there."""
    app.mount("/static", Assets(directory=STATIC), name="static")
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/", _to_docs, include_in_schema=False)


async def _docs() -> FileResponse:
    return FileResponse(STATIC / "docs.html", media_type="text/html; charset=utf-8")


async def _to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")
