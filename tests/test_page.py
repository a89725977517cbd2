"""The web page with the demo model, driven as a person would."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from app.lifespan import GENERATOR
from tests.live_api import LiveApi, live_api
from tests.page_visit import CHROMIUM, SIZES, WAIT_MS, chromium, visit
from tests.waiting import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
expect.set_options(timeout=WAIT_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("page"), generator=GENERATOR) as api:

        async def is_ready() -> bool:
            return (await api.client.get("/health/ready")).status_code == 200

        await eventually(is_ready, 240, "the demo model is not loaded")
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def plays_and_seeks(player: Locator) -> dict[str, Any]:
    facts: dict[str, Any] = await player.evaluate(
        """async (video) => {
            const loaded = new Promise(done => video.addEventListener('canplaythrough', done));
            if (video.readyState < 4) await loaded;
            video.pause();
            const seeked = new Promise(done => video.addEventListener('seeked', done, {once: true}));
            video.currentTime = video.duration * 0.75;
            await seeked;
            const after = video.currentTime;
            const moves = new Promise(done => video.addEventListener('timeupdate', done, {once: true}));
            await video.play();
            await moves;
            return {after: after / video.duration, width: video.videoWidth, error: video.error};
        }"""
    )
    return facts


@pytest.mark.parametrize("size", SIZES)
async def test_a_person_makes_finds_and_deletes_a_clip(api: LiveApi, browser: Browser, size: str) -> None:
    async with visit(browser, str(api.client.base_url), **SIZES[size]) as visitor:
        page = visitor.page
        await visitor.open()
        prompt = f"a red circle moving left on a {size}"
        await visitor.generate(prompt, steps=30)

        # It moves, and the picture appears.
        percents: list[int] = []

        async def has_moved() -> bool:
            text = await visitor.stage.locator(".percent").text_content() or ""
            if re.fullmatch(r"\d+%", text):
                percents.append(int(text[:-1]))
            return len(set(percents)) >= 3

        await visitor.stage.locator("progress").wait_for()
        await eventually(has_moved, 60, "the progress stands still")
        assert percents == sorted(percents)
        await expect(visitor.stage.locator(".standing")).to_contain_text(re.compile(r"Step \d+ of 30"))
        await visitor.stage.locator("img.preview").wait_for()
        assert await page.evaluate("document.querySelector('#stage img.preview').naturalWidth") == 128

        facts = await plays_and_seeks(await visitor.finished())
        assert facts == {"after": pytest.approx(0.75, abs=0.05), "width": 128, "error": None}

        # A reload loses nothing.
        await page.reload()
        await page.get_by_role("searchbox").fill(f"ON A {size}")
        await expect(visitor.cards).to_have_count(1)
        await expect(page.get_by_label("Prompt", exact=True)).to_have_value(prompt)
        await page.wait_for_function("document.querySelector('#gallery img')?.naturalWidth > 0")

        await visitor.cards.get_by_role("button").click()
        await expect(visitor.details).to_contain_text("a red circle moving left")
        assert (await plays_and_seeks(visitor.details.locator("video")))["error"] is None
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        # To delete asks, and can be declined.
        await visitor.button("Delete", visitor.details).click()
        await visitor.button("Keep it").click()
        await expect(page.locator("#confirm")).to_be_hidden()
        await visitor.button("Delete", visitor.details).click()
        await visitor.button("Delete", page.locator("#confirm")).click()
        await expect(visitor.cards).to_have_count(0)
        await expect(visitor.details).to_have_count(0)
        await expect(page.locator("#gallery-note")).to_contain_text("No clip fits")
    listed = (await api.client.get("/jobs", params={"q": f"on a {size}"})).json()
    assert listed["data"] == []


async def test_by_keyboard_alone(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        page = visitor.page
        await visitor.open()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the prompt")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Shift+Tab")
        await page.get_by_label("Prompt", exact=True).focus()
        await page.keyboard.type("a blue star rising")
        await page.keyboard.press("Control+Enter")
        await visitor.finished()
        await expect(page.locator("#announce")).to_have_text("Your clip is ready: a blue star rising")

        card = visitor.cards.first.get_by_role("button")
        await card.focus()
        await page.keyboard.press("Enter")
        await visitor.details.wait_for()
        await page.keyboard.press("Escape")
        await expect(visitor.details).to_have_count(0)
        await expect(card).to_be_focused()


async def test_cards_play_while_pointed_at(api: LiveApi, browser: Browser) -> None:
    job = await api.finished("a pink square falling", num_inference_steps=2)
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        card = visitor.page.locator(f'[data-id="{job["id"]}"]')
        await card.get_by_role("button").hover()
        await card.locator("video.plays").wait_for()
        assert await card.locator("video").evaluate("video => video.muted && !video.paused")
        await visitor.page.get_by_role("heading", level=1).hover()
        await expect(card.locator("video")).to_have_count(0)


async def test_a_clip_is_made_again(api: LiveApi, browser: Browser) -> None:
    job = await api.finished("a green star drifting right", seed=7, fps=12, num_inference_steps=2)
    async with visit(browser, str(api.client.base_url)) as visitor:
        page = visitor.page
        await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await visitor.open(f"/#{job['id']}")
        await expect(visitor.details).to_contain_text("a green star drifting right")
        await visitor.button("Copy link", visitor.details).click()
        await expect(page.locator("#toast")).to_contain_text("Link copied")
        link = await page.evaluate("navigator.clipboard.readText()")
        assert (await api.client.get(link)).headers["content-type"] == "video/mp4"
        async with page.expect_download() as download:
            await visitor.button("Download", visitor.details).click()
        assert (await download.value).suggested_filename == f"{job['id']}.mp4"

        await visitor.button("Again with these", visitor.details).click()
        await expect(visitor.details).to_have_count(0)
        await expect(page.get_by_label("Seed", exact=True)).to_have_value("7")
        await expect(page.get_by_label("Frames per second")).to_have_value("12")
        await page.get_by_role("button", name="Generate").click()
        await visitor.finished()
        twin = (await api.client.get("/jobs", params={"limit": 1})).json()["data"][0]
        assert twin["id"] != job["id"]
        assert twin["params"] == job["params"]

        await visitor.button("Again with a new seed", visitor.stage).click()

        async def sibling() -> dict[str, Any] | None:
            newest = (await api.client.get("/jobs", params={"limit": 1})).json()["data"][0]
            return newest if newest["id"] != twin["id"] else None

        newest = await eventually(sibling, 30)
        assert newest["params"] | {"seed": 7} == job["params"]
        assert newest["params"]["seed"] != 7
        await api.until(newest["id"], "completed")
