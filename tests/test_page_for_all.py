"""The web page for everyone: screen readers, light and dark, and those who have a key."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from authentication import create_key
from tests.live_api import LiveApi, live_api
from tests.page_visit import CHROMIUM, SIZES, WAIT_MS, Visit, chromium, visit

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
expect.set_options(timeout=WAIT_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("all")) as api:
        await api.finished("a clip that is there")
        await api.create("refuse invalid_output Every frame is black.")
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def check(visitor: Visit, state: str) -> None:
    """axe-core finds nothing wrong in what is shown, not even of its mildest kind."""
    # What still fades in has other colours than it will have.
    await visitor.page.evaluate(
        "Promise.allSettled(document.getAnimations().filter(each => each.effect.getTiming().iterations === 1)"
        ".map(each => each.finished))"
    )
    found = (await Axe().run(visitor.page)).response["violations"]
    assert not found, (state, [(each["id"], [node["html"] for node in each["nodes"]]) for each in found])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_axe_finds_no_fault(api: LiveApi, browser: Browser, size: str, scheme: str) -> None:
    async with visit(browser, str(api.client.base_url), color_scheme=scheme, **SIZES[size]) as visitor:
        page = visitor.page
        await visitor.open()
        await visitor.cards.first.wait_for()
        await check(visitor, "at first")
        await visitor.advanced("Steps", 1000)
        await page.get_by_label("Prompt", exact=True).fill("pace 1")
        await page.get_by_role("button", name="Generate").click()
        await check(visitor, "a refusal beside its field")
        await visitor.advanced("Steps", 100)
        await page.get_by_role("button", name="Generate").click()
        await visitor.stage.locator("progress").wait_for()
        await api.create("waits behind it")
        await page.locator("#queue li").wait_for()
        await check(visitor, "progress and a line")
        await visitor.button("Cancel", visitor.stage).click()
        await visitor.finished()
        await check(visitor, "a result")
        await visitor.page.locator("#gallery button", has=page.locator("img")).last.click()
        await visitor.details.wait_for()
        await check(visitor, "details")
        await visitor.button("Delete", visitor.details).click()
        await page.locator("#confirm").wait_for()
        await check(visitor, "the question before it is deleted")
        await visitor.button("Keep it").click()
        await visitor.button("Close", visitor.details).click()
        await visitor.page.locator("#gallery button", has_text="Failed").first.click()
        await visitor.details.locator(".problem").wait_for()
        await check(visitor, "a failure")


async def test_the_theme_can_be_chosen(api: LiveApi, browser: Browser) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    async with visit(browser, str(api.client.base_url), color_scheme="dark") as visitor:
        page = visitor.page
        await visitor.open()
        dark = await page.evaluate(ground)
        await visitor.button("Theme: automatic").click()
        light = await page.evaluate(ground)
        assert light != dark
        await page.reload()
        await visitor.button("Theme: light").wait_for()
        assert await page.evaluate(ground) == light
        await visitor.button("Theme: light").click()
        assert await page.evaluate(ground) == dark
        await visitor.button("Theme: dark").click()
        await visitor.button("Theme: automatic").wait_for()


async def test_zoomed_text_stays_on_the_page(api: LiveApi, browser: Browser) -> None:
    """320 pixels are what is left of 1280 at 400% (WCAG 1.4.10)."""
    async with visit(browser, str(api.client.base_url), viewport={"width": 320, "height": 256}) as visitor:
        await visitor.open()
        await visitor.page.locator("summary").click()
        assert await visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_with_keys_on_the_page_asks_for_one(tmp_path: Path, browser: Browser) -> None:
    key, entry = create_key("alice")
    async with live_api(tmp_path, api_keys=entry) as api:
        api.client.headers["authorization"] = f"Bearer {key}"
        async with visit(browser, str(api.client.base_url)) as visitor:
            page = visitor.page
            await page.goto(visitor.base)
            await page.locator("#key-dialog").wait_for()
            await check(visitor, "the field for the key")
            # Who puts it away finds out what to do.
            await page.keyboard.press("Escape")
            await page.get_by_role("button", name="Generate").click()
            await expect(page.locator("#problem")).to_contain_text("press API key")
            await visitor.button("API key").click()
            with visitor.expecting("401"):
                await page.get_by_label("Key", exact=True).fill("t2v_wrong")
                await visitor.button("Use this key").click()
                await expect(page.locator("#key-error")).to_contain_text("not known")
            await page.get_by_label("Key", exact=True).fill(key)
            await visitor.button("Use this key").click()
            await page.locator(".chip").first.wait_for()
            await visitor.generate("a red circle")
            player = await visitor.finished()
            await expect(player).to_have_js_property("error", None)
            assert "signature=" in (await player.get_attribute("src") or "")
            await expect(player).to_have_js_property("readyState", 4)
            await page.reload()
            await expect(visitor.cards).to_have_count(1)
            assert key not in page.url
            assert await page.evaluate("localStorage.length") == 0

            # A tab of its own knows nothing of the key.
            async with visit(browser, str(api.client.base_url)) as stranger:
                await stranger.page.goto(stranger.base)
                await stranger.page.locator("#key-dialog").wait_for()
                await expect(stranger.cards).to_have_count(0)

            await visitor.button("API key").click()
            await visitor.button("Forget it").click()
            await page.locator("#key-dialog").wait_for()
            await expect(visitor.cards).to_have_count(0)


async def test_a_key_that_may_only_look_sees_clips(tmp_path: Path, browser: Browser) -> None:
    key, entry = create_key("alice")
    async with live_api(tmp_path, api_keys=entry) as api:
        api.client.headers["authorization"] = f"Bearer {key}"
        await api.finished("a blue star")
        wish = {"name": "looks", "owner": "alice", "scopes": ["read"]}
        looking = (await api.client.post("/keys", json=wish)).json()["key"]
        async with visit(browser, str(api.client.base_url)) as visitor:
            page = visitor.page
            await page.goto(visitor.base)
            await page.get_by_label("Key", exact=True).fill(looking)
            # It makes no links: the page finds that out by asking once.
            with visitor.expecting("403"):
                await visitor.button("Use this key").click()
                await visitor.cards.get_by_role("button").click()
                player = visitor.details.locator("video")
                await expect(player).to_have_js_property("readyState", 4)
                assert (await player.get_attribute("src") or "").startswith("blob:")
                await visitor.button("Close", visitor.details).click()
                await visitor.generate("a red circle")
                await expect(page.locator("#problem")).to_contain_text("scope 'create'")
                await expect(page.locator("#problem")).to_contain_text("Use a key with that scope.")


async def test_the_page_needs_no_cookie(api: LiveApi) -> None:
    assert "set-cookie" not in (await api.client.get("/")).headers
