"""A clip in a real browser: it loads, plays, and seeks through Range requests."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.client_service import ClientService

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield browser
        browser.close()


def test_chromium_plays_and_seeks(client_service: ClientService, browser: Browser) -> None:
    service = client_service.service
    job = service.wait_for(service.create()["id"], "completed")
    page = browser.new_page(extra_http_headers={"authorization": f"Bearer {client_service.key}"})
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if "/videos/" in answer.url else None)
    page.goto(f"{client_service.url}/health/live")
    page.set_content(f'<video src="{client_service.url}/videos/{job["id"]}" muted></video>')
    page.wait_for_function("document.querySelector('video').readyState >= 4", timeout=15_000)
    facts = page.evaluate(
        """async () => {
            const video = document.querySelector('video');
            const seeked = new Promise(done => video.addEventListener('seeked', done, {once: true}));
            video.currentTime = video.duration * 0.75;
            await seeked;
            const after = video.currentTime;
            video.currentTime = 0;
            const ended = new Promise(done => video.addEventListener('ended', done, {once: true}));
            await video.play();
            await ended;
            return {width: video.videoWidth, duration: video.duration, after, error: video.error};
        }"""
    )
    page.close()
    assert facts["error"] is None
    assert facts["width"] == job["video"]["width"]
    assert facts["duration"] == pytest.approx(job["video"]["duration_seconds"], abs=0.05)
    assert facts["after"] == pytest.approx(facts["duration"] * 0.75, abs=0.05)
    assert 206 in statuses, statuses
