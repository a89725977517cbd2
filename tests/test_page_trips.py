"""What people trip over at the web page: long prompts, other scripts and tabs, the way back, outages."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from models.job import JobStatus
from tests.jobs import queued_job
from tests.live_api import LiveApi, live_api
from tests.page_visit import CHROMIUM, PHONE, WAIT_MS, chromium, visit

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
expect.set_options(timeout=WAIT_MS)

BRIDGE = "قطار بخاري يعبر جسرا حجريا"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("trips")) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def test_a_long_prompt_is_counted_and_cut_where_it_is_shown(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url), **PHONE) as visitor:
        page = visitor.page
        await visitor.open()
        count = page.locator("#prompt-count")
        await visitor.generate("word " * 800 + "x")
        await expect(count).to_have_text("4001 of 4000 characters")
        await expect(page.locator("#prompt-error")).to_contain_text("this one has 4001")
        await page.get_by_label("Prompt", exact=True).fill("short")
        await expect(count).to_be_hidden()
        await visitor.generate("word " * 800)
        await visitor.finished()
        shown = await visitor.stage.locator(".lead").bounding_box()
        assert shown is not None
        assert shown["height"] < 100
        await visitor.cards.first.get_by_role("button").click()
        title = visitor.details.get_by_role("heading", level=2)
        cut = await title.evaluate("title => title.clientHeight")
        await visitor.button("Show all of the prompt", visitor.details).click()
        assert await title.evaluate("title => title.clientHeight") > 10 * cut
        await visitor.button("Show less of the prompt", visitor.details).click()
        assert await title.evaluate("title => title.clientHeight") == cut
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_prompts_run_in_their_own_direction(api: LiveApi, browser: Browser) -> None:
    direction = "node => getComputedStyle(node).direction"
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        await visitor.generate(BRIDGE)
        await visitor.finished()
        prompt = visitor.page.get_by_label("Prompt", exact=True)
        for place in (prompt, visitor.stage.locator(".lead"), visitor.cards.first.locator(".words")):
            assert await place.evaluate(direction) == "rtl"
        await visitor.cards.first.get_by_role("button").click()
        assert await visitor.details.get_by_role("heading", level=2).evaluate(direction) == "rtl"
        assert await visitor.page.get_by_role("heading", level=1).evaluate(direction) == "ltr"


async def test_the_way_back_closes_a_clip(api: LiveApi, browser: Browser) -> None:
    job = await api.finished("a clip to look at")
    async with visit(browser, str(api.client.base_url), **PHONE) as visitor:
        page = visitor.page
        await visitor.open()
        start = page.url
        await visitor.cards.first.get_by_role("button").click()
        await visitor.details.wait_for()
        assert page.url.endswith(f"#{job['id']}")
        await page.go_back()
        await expect(visitor.details).to_have_count(0)
        assert page.url == start
        await page.go_forward()
        await expect(visitor.details).to_contain_text("a clip to look at")
        await page.reload()
        await expect(visitor.details).to_contain_text("a clip to look at")
        await visitor.button("Close", visitor.details).click()
        await expect(page).to_have_url(start)


async def test_what_happens_elsewhere_shows(api: LiveApi, browser: Browser) -> None:
    """A program makes a clip and deletes two, one of which is opened here before that shows."""
    kept, deleted = [await api.finished(f"{name} from here") for name in ("kept", "deleted")]
    async with visit(browser, str(api.client.base_url)) as visitor:
        page = visitor.page
        await page.clock.install()
        await visitor.open()
        cards = page.locator("#gallery > li", has_text="from here")
        await expect(cards).to_have_count(2)
        made = await api.finished("made and done from here")
        assert (await api.client.delete(f"/jobs/{deleted['id']}")).status_code == 204
        await page.clock.fast_forward(15_000)
        await expect(page.locator(f'[data-id="{deleted["id"]}"]')).to_have_count(0)
        await expect(cards).to_have_count(2)
        await expect(visitor.cards.first).to_contain_text("made and done from here")

        assert (await api.client.delete(f"/jobs/{made['id']}")).status_code == 204
        with visitor.expecting("404"):
            await visitor.cards.first.get_by_role("button").click()
            await expect(page.locator("#toast")).to_contain_text("deleted elsewhere")
            await expect(visitor.details).to_have_count(0)
            await expect(cards).to_have_count(1)
            await expect(visitor.cards.first).to_contain_text("kept from here")
    assert (await api.job(kept["id"]))["status"] == "completed"


async def test_a_search_without_a_connection_is_tried_when_one_says_so(
    api: LiveApi, browser: Browser
) -> None:
    await api.finished("a clip to search for")
    async with visit(browser, str(api.client.base_url)) as visitor:
        page = visitor.page
        await visitor.open()
        with visitor.expecting("ERR_INTERNET_DISCONNECTED"):
            await visitor.context.set_offline(True)
            await page.get_by_role("searchbox").fill("to search for")
            await expect(page.locator("#gallery-note")).to_contain_text("does not answer")
            again = page.get_by_role("button", name="Try again")
            await again.click()
            await expect(page.locator("#gallery-note")).to_contain_text("does not answer")
            await visitor.context.set_offline(False)
            await again.click()
            await expect(visitor.cards).to_have_count(1)
            await expect(page.locator("#gallery-note")).to_have_text("1 clip")
        asked = [url for url in visitor.requested if "q=to+search" in url]
        assert len(asked) <= 5, "it asks on and on"


async def test_a_browser_that_keeps_nothing_is_enough(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        refusal = "{get() { throw new DOMException('no', 'SecurityError') }}"
        for name in ("localStorage", "sessionStorage"):
            await visitor.page.add_init_script(f"Object.defineProperty(window, '{name}', {refusal})")
        await visitor.open()
        await visitor.button("Theme: automatic").click()
        await visitor.generate("a red circle")
        await visitor.finished()


async def test_a_look_for_what_is_new_holds_nothing_up(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> None:
    """While it is not answered, one comes to the end of the page and goes on."""
    async with live_api(tmp_path_factory.mktemp("many")) as api:
        for _ in range(60):
            await api.state["store"].insert(queued_job(owner="local", status=JobStatus.CANCELLED))
        async with visit(browser, str(api.client.base_url)) as visitor:
            page, is_over = visitor.page, asyncio.Event()

            async def hold(route: Route) -> None:
                if "after=" not in route.request.url and "status=" not in route.request.url:
                    await is_over.wait()
                await route.continue_()

            await page.clock.install()
            await visitor.open()
            await expect(visitor.cards).to_have_count(24)
            await page.route("**/jobs?*", hold)
            async with page.expect_request("**/jobs?limit=24"):
                await page.clock.fast_forward(15_000)
            await page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
            await expect(visitor.cards).not_to_have_count(24)
            is_over.set()
            await page.unroute_all(behavior="wait")
