"""How the web page is served."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.page import FOLDER
from authentication import create_key
from services.catalogue import Catalogue
from tests.live_api import LiveApi, live_api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("page")) as api:
        yield api


@pytest.mark.parametrize("path", ["/", "/static/page/main.js", "/static/page/style.css"])
async def test_browsers_keep_the_files_and_ask_whether_they_changed(api: LiveApi, path: str) -> None:
    answer = await api.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    again = await api.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await api.client.head(path)).headers["etag"] == answer.headers["etag"]


async def test_the_page_loads_what_is_here_and_nothing_else(api: LiveApi) -> None:
    """Every file is used and there, and nothing within the page needs leave to run."""
    page = (await api.client.get("/")).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", page)
    used = set(re.findall(r'(?:src|href)="static/page/([^"]+)"', page))
    for script in FOLDER.glob("*.js"):
        used |= set(re.findall(r'from "\./([\w-]+\.js)"', script.read_text()))
        used |= set(re.findall(r"static/page/([\w-]+\.(?:svg|json))", script.read_text()))
    assert used - {"config.json"} == {path.name for path in FOLDER.iterdir()} - {"index.html"}
    for name in used:
        assert (await api.client.get(f"/static/page/{name}")).status_code == 200


async def test_the_page_is_told_what_is_on(api: LiveApi, tmp_path: Path) -> None:
    assert (await api.client.get("/static/page/config.json")).json() == {"keys": False, "docs": True}
    _, entry = create_key("alice")
    async with live_api(tmp_path, api_keys=entry, docs=False) as guarded:
        answer = await guarded.client.get("/static/page/config.json")
        assert answer.json() == {"keys": True, "docs": False}
        assert (await guarded.client.get("/")).status_code == 200


async def test_every_model_has_examples(api: LiveApi) -> None:
    for model in (await api.client.get("/models")).json()["data"]:
        assert len(model["example_prompts"]) >= 3, model["id"]
    assert Catalogue.create("demo").default_entry.example_prompts[0] == "a red circle moving left"
