"""The Streamlit app: its script under Streamlit's own test runner, and the page in a real browser."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import sync_playwright

from tests.client_service import ClientService
from tests.running_service import REPOSITORY_ROOT, free_port
from tests.test_browser import CHROMIUM

pytest.importorskip("streamlit", reason="install clients/requirements.txt")

from streamlit import cache_resource
from streamlit.testing.v1 import AppTest

APP = REPOSITORY_ROOT / "clients" / "streamlit_app.py"


def opened(service: ClientService, monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    # The app keeps its client for all visitors.
    cache_resource.clear()
    monkeypatch.setenv("T2V_URL", service.url)
    monkeypatch.setenv("T2V_API_KEY", service.key)
    app = AppTest.from_file(str(APP), default_timeout=180)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


@pytest.fixture
def app(client_service: ClientService, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return opened(client_service, monkeypatch)


def test_a_clip(app: AppTest, client_service: ClientService) -> None:
    assert not app.exception
    assert app.selectbox[0].value == "demo"
    assert app.selectbox[1].value == "exact"
    app.selectbox[1].select("fast").run()
    app.text_area[0].input("a *red* circle moving left")
    next(field for field in app.number_input if field.label.startswith("Seed")).set_value(7)
    app.button[0].click().run()
    assert not app.exception
    assert not app.error
    job = client_service.service.job(app.query_params["job"])
    assert (job["status"], job["params"]["seed"]) == ("completed", 7)
    assert job["params"]["quality"] == "fast"
    assert job["params"]["num_inference_steps"] < 20
    assert len(app.get("video")) == len(app.download_button) == 1
    assert app.markdown[0].value == r"> a \*red\* circle moving left"

    reloaded = AppTest.from_file(str(APP), default_timeout=180)
    reloaded.query_params["job"] = job["id"]
    assert len(reloaded.run().get("video")) == 1


def test_what_is_wrong_is_said(app: AppTest) -> None:
    app.button[0].click().run()
    assert "Say in the prompt" in app.warning[0].value
    app.query_params["job"] = "video_unknown"
    app.run()
    assert "There is no job" in app.error[0].value
    assert not app.exception


def test_a_cancelled_job_says_so(scripted_service: ClientService, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_service.client() as client:
        job = client.create("wait never")
        client.cancel(job.id)
    assert "cancelled" in opened(scripted_service, monkeypatch, job=job.id).info[0].value


@pytest.fixture
def address(scripted_service: ClientService, tmp_path: Path) -> Iterator[str]:
    """Of the app, run as its hosts run it."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.headless=true"]
    options = [f"--server.port={port}", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options],
            cwd=REPOSITORY_ROOT,
            env=scripted_service.environment,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"

        def is_up() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                return httpx2.get(f"{url}/_stcore/health").status_code == 200
            except httpx2.TransportError:
                return False

        scripted_service.service.wait_until(is_up, 90, "streamlit did not start")
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_visitor_makes_and_cancels_clips(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_label("Prompt", exact=True).fill("a red circle moving left")
        page.get_by_role("button", name="Generate").click()
        page.locator("video").wait_for()
        page.wait_for_function("document.querySelector('video').readyState >= 2")
        page.get_by_role("button", name="Download").wait_for()
        assert "job=video_" in page.url

        page.get_by_label("Prompt", exact=True).fill("wait never")
        page.get_by_role("button", name="Generate").click()
        page.get_by_text("in progress step").wait_for()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("It was cancelled.").wait_for()
        browser.close()
