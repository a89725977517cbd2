"""What browsers are told, on every answer; and what they may show of the documentation."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from app.assets import STATIC
from models.responses import ErrorEnvelope
from tests.live_api import LiveApi, live_api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE = "https://studio.example"

module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("headers"), cors_origins=PAGE) as api:

        async def buggy() -> None:
            raise RuntimeError("password=hunter2")

        api.app.add_api_route("/bug", buggy)
        yield api


def check(headers: httpx2.Headers) -> None:
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == "'none'"
    assert policy["default-src"] in ("'self'", "'none'")
    for source in ("script-src", "object-src", "base-uri"):
        assert policy.get(source, "'none'") == "'none'"
    assert "unsafe-eval" not in str(policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache", "private, no-cache")
    assert "server" not in headers


@module
async def test_every_answer_has_them(api: LiveApi) -> None:
    job = await api.finished()
    clip = f"/videos/{job['id']}"
    etag = (await api.client.get(clip)).headers["etag"]
    preflight = {"access-control-request-method": "POST"}
    requests = [
        ("GET", "/jobs", {}, 200),
        ("POST", "/videos", {}, 422),
        ("POST", "/videos", {"content-length": str(2**21)}, 413),
        ("GET", clip, {}, 200),
        ("HEAD", clip, {}, 200),
        ("GET", clip, {"range": "bytes=0-1"}, 206),
        ("GET", clip, {"range": "bytes=99999999-"}, 416),
        ("GET", clip, {"if-none-match": etag}, 304),
        ("GET", f"{clip}/thumbnail", {}, 200),
        ("GET", f"/jobs/{job['id']}/events", {}, 200),
        ("GET", "/jobs/unknown", {}, 404),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/videos", {}, 405),
        ("GET", "/bug", {}, 500),
        ("GET", "/jobs", {"host": "evil.example"}, 400),
        ("GET", "/docs", {}, 200),
        ("GET", "/", {}, 200),
        ("HEAD", "/", {}, 200),
        ("GET", "/static/page/main.js", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/static/docs.js", {}, 200),
        ("GET", "/static/nothing", {}, 404),
        ("GET", "/static/%2e%2e/main.py", {}, 404),
        ("GET", "/metrics", {}, 200),
        ("GET", "/health/live", {}, 200),
        ("OPTIONS", "/videos", preflight | {"origin": PAGE}, 200),
        ("OPTIONS", "/videos", preflight | {"origin": "https://evil.example"}, 400),
        ("OPTIONS", "/videos", {}, 405),
    ]
    for method, path, headers, status in requests:
        content = b"x" * 2**21 if "content-length" in headers else None
        answer = await api.client.request(method, path, headers=headers, content=content)
        assert answer.status_code == status, (method, path, answer.text)
        check(answer.headers)


@module
async def test_what_is_no_http_gets_the_envelope_too(api: LiveApi) -> None:
    for rubbish in (
        b"rubbish\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ):
        url = api.client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(rubbish)
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        status, *lines = head.split("\r\n")
        assert status.startswith("HTTP/1.1 400")
        check(httpx2.Headers([tuple(line.split(": ", 1)) for line in lines]))
        assert ErrorEnvelope.model_validate_json(body).error.code == "invalid_http"


@module
async def test_static_files_are_those_of_their_folder(api: LiveApi) -> None:
    for path in (
        "../main.py",
        "..%2fmain.py",
        "%2e%2e/main.py",
        "swagger-ui/../../main.py",
        "swagger-ui",
        "",
    ):
        raw = f"{api.client.base_url}/static/{path}".encode()
        answer = await api.client.get(httpx2.URL(raw.decode()))
        assert answer.status_code == 404, path
        assert str(STATIC) not in answer.text
        assert ErrorEnvelope.model_validate(answer.json()).error.code == "route_not_found"


@module
async def test_the_documentation_loads_nothing_from_elsewhere(api: LiveApi) -> None:
    page = (await api.client.get("/docs")).text
    assert "//" not in page.replace("<!--", "")
    assert "<script>" not in page
    for asset in ("docs.js", "swagger-ui/swagger-ui-bundle.js", "swagger-ui/swagger-ui.css"):
        assert f"static/{asset}" in page
        answer = await api.client.get(f"/static/{asset}")
        assert answer.status_code == 200
        assert answer.headers["etag"]


@module
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
async def test_the_documentation_works_under_its_policy(api: LiveApi) -> None:
    job = await api.finished()
    base = str(api.client.base_url)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = await browser.new_page()
        complaints: list[str] = []
        asked: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{base}/docs")
        operation = page.locator(".opblock-get").filter(has=page.locator('[data-path="/jobs/{id}"]'))
        await operation.locator(".opblock-summary").click()
        await operation.locator("input[placeholder=id]").fill(job["id"])
        await operation.locator("button.execute").click()
        await operation.locator(".live-responses-table").get_by_text('"status": "completed"').wait_for()
        assert all(url.startswith((base, "data:", "blob:")) for url in asked), asked
        # The policy holds: a script within the page does not run.
        await page.evaluate(
            """() => {
                const script = document.createElement('script');
                script.text = 'window.ran = true';
                document.body.appendChild(script);
            }"""
        )
        assert await page.evaluate("window.ran") is None
        assert [complaint for complaint in complaints if "inline script" not in complaint] == []
        # Nor does another page show this one in a frame.
        framing = await browser.new_page()
        async with framing.expect_console_message(lambda message: "frame-ancestors" in message.text):
            await framing.set_content(f'<iframe src="{base}/docs"></iframe>')
        # A clip by itself plays.
        await page.goto(f"{base}/videos/{job['id']}")
        await page.wait_for_function("document.querySelector('video').readyState >= 3", timeout=15_000)
        await browser.close()


async def test_documentation_and_metrics_can_be_closed(tmp_path: Path) -> None:
    async with live_api(tmp_path, page=False, docs=False, metrics=False) as api:
        for path in ("/", "/docs", "/openapi.json", "/static/docs.js", "/static/page/main.js", "/metrics"):
            answer = await api.client.get(path)
            assert answer.status_code == 404, path
            check(answer.headers)
        assert (await api.client.get("/jobs")).status_code == 200
