"""The API's documentation for people: Swagger UI, served from here, without a script from elsewhere."""

from fastapi import FastAPI
from starlette.responses import FileResponse

from app.assets import STATIC, Assets


def add_docs(app: FastAPI) -> None:
    """``/docs`` with what it loads."""
    app.mount("/static", Assets(directory=STATIC), name="static")
    app.add_api_route("/docs", _docs, include_in_schema=False)


async def _docs() -> FileResponse:
    return FileResponse(STATIC / "docs.html", media_type="text/html; charset=utf-8")
