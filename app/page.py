"""The web page at ``/``: files as they are, without a build step."""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from app.assets import STATIC, Assets

FOLDER = STATIC / "page"


class PageConfig(BaseModel):
    """What the page must know before it asks the API anything."""

    keys: bool
    docs: bool


def add_page(app: FastAPI, config: PageConfig) -> None:
    """``/`` with what it loads. Comes before other mounts below ``/static``."""
    assets = Assets(directory=FOLDER)

    async def page(request: Request) -> Response:
        return await assets.get_response("index.html", request.scope)

    async def page_config() -> PageConfig:
        return config

    app.add_api_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/static/page/config.json", page_config, include_in_schema=False)
    app.mount("/static/page", assets, name="page")
