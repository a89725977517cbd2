"""What the web page shows of jobs that wait, fail and are stopped, of long histories and of refusals."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.live_api import LiveApi, live_api
from tests.page_visit import CHROMIUM, PHONE, WAIT_MS, chromium, visit
from tests.waiting import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
expect.set_options(timeout=WAIT_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveApi]:
    async with live_api(tmp_path_factory.mktemp("states")) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def test_a_running_clip_survives_a_reload_and_is_cancelled(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        await visitor.generate("pace 1", steps=100)
        await visitor.stage.locator("img.preview").wait_for()
        await visitor.page.reload()
        await expect(visitor.stage).to_contain_text("pace 1")
        await visitor.stage.locator("img.preview").wait_for()
        first = await visitor.stage.locator("img.preview").get_attribute("src")
        await expect(visitor.stage.locator("img.preview")).not_to_have_attribute("src", first or "")
        await visitor.button("Cancel", visitor.stage).click()
        await visitor.button("Retry", visitor.stage).wait_for()
        await expect(visitor.stage).to_contain_text("Cancelled")
        await expect(visitor.cards.first).to_contain_text("Cancelled")


async def test_late_news_of_an_earlier_end_hides_no_clip(api: LiveApi, browser: Browser) -> None:
    """Each job is followed by a stream of its own, and these overtake each other."""
    waits = await api.waiting()
    await api.cancel(waits["id"])
    made = await api.create("made after it")
    later, earlier = await api.until(made["id"], "completed"), await api.job(waits["id"])
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        await visitor.page.evaluate(
            """async (jobs) => {
              const { makeStage } = await import(new URL("static/page/stage.js", document.baseURI));
              const tracker = Object.assign(new EventTarget(), { list: [], previews: new Map() });
              makeStage(tracker, { buttons: () => document.createElement("div") });
              for (const job of jobs)
                tracker.dispatchEvent(new CustomEvent("ended", { detail: { job, preview: null } }));
            }""",
            [later, earlier],
        )
        await expect(visitor.stage).to_contain_text("made after it")
        await visitor.finished()


async def test_waiting_clips_stand_in_line(api: LiveApi, browser: Browser, tmp_path: Path) -> None:
    running = await api.create(f"wait {tmp_path / 'go'}")
    first, second = await api.create("first in line"), await api.create("second in line")
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        rows = visitor.page.locator("#queue > li")
        await expect(rows).to_have_count(2)
        await expect(rows.nth(0)).to_contain_text("first in line")
        await expect(rows.nth(0)).to_contain_text("Next in line")
        await expect(rows.nth(1)).to_contain_text("1 clip ahead")
        await visitor.button("Cancel: first in line").click()
        await expect(rows).to_have_count(1)
        await expect(rows.nth(0)).to_contain_text("Next in line")
        (tmp_path / "go").touch()
        await visitor.finished()
        await expect(visitor.page.locator("#queue")).to_be_hidden()
        await expect(visitor.stage).to_contain_text("second in line")
    for job, status in ((running, "completed"), (first, "cancelled"), (second, "completed")):
        assert (await api.job(job["id"]))["status"] == status


async def test_a_failure_says_what_to_do(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        await visitor.generate("refuse out_of_memory The device is full.")
        await expect(visitor.stage.locator(".problem")).to_have_text(
            re.compile("The device is full.*Choose a smaller size or fewer frames", re.DOTALL)
        )
        failed = (await api.client.get("/jobs", params={"limit": 1})).json()["data"][0]
        await visitor.button("Retry", visitor.stage).click()

        async def retried() -> bool:
            newest = (await api.client.get("/jobs", params={"limit": 1})).json()["data"][0]
            return bool(newest["retry_of"] == failed["id"] and newest["status"] == "failed")

        await eventually(retried, 30)
        card = visitor.page.locator(f'[data-id="{failed["id"]}"]')
        await expect(card).to_contain_text("Failed")
        await card.get_by_role("button").click()
        await expect(visitor.details.locator(".problem")).to_contain_text("Choose a smaller size")


async def test_what_the_model_makes_nothing_of_is_said(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        await visitor.generate("a zyzzyva")
        await expect(visitor.stage.locator(".note")).to_have_text("The model does not know: zyzzyva.")


async def test_refusals_stand_beside_their_field(api: LiveApi, browser: Browser) -> None:
    before = len((await api.client.get("/jobs", params={"limit": 100})).json()["data"])
    async with visit(browser, str(api.client.base_url)) as visitor:
        page = visitor.page
        await visitor.open()
        await page.get_by_role("button", name="Generate").click()
        await expect(page.locator("#prompt-error")).to_contain_text("Say what the clip shows")
        await expect(page.get_by_label("Prompt", exact=True)).to_be_focused()
        await visitor.generate("a red circle", steps=1000)
        await expect(page.locator("#error-num_inference_steps")).to_have_text("Give 1 to 100.")
        await expect(page.get_by_label("Steps", exact=True)).to_be_focused()
        await visitor.advanced("Steps", 5)
        await visitor.advanced("Seed", 2**32)
        await page.get_by_role("button", name="Generate").click()
        await expect(page.locator("#error-seed")).to_contain_text("from 0 to 4294967295")
        # Other models have other limits; those that no field knows come from the service.
        await page.get_by_label("Model", exact=True).first.select_option("zeroscope_v2_576w")
        await expect(page.locator("#model-hint")).to_contain_text("No commercial use")
        await visitor.advanced("Width", 577)
        await page.get_by_role("button", name="Generate").click()
        await expect(page.locator("#error-width")).to_have_text("Give 128 to 1024 pixels in steps of 64.")
        await visitor.advanced("Width", 1024)
        await visitor.advanced("Height", 1024)
        await page.get_by_role("button", name="Generate").click()
        await expect(page.locator("#error-num_frames")).to_contain_text("At this size at most 11 frames fit")
    assert len((await api.client.get("/jobs", params={"limit": 100})).json()["data"]) == before


async def test_a_refusal_of_the_service_is_shown(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        error = {"message": "Too many.", "type": "rate_limit_error", "param": None, "code": "rate_limited"}
        refusal = {"status": 429, "headers": {"Retry-After": "40"}, "body": json.dumps({"error": error})}
        await visitor.page.route("**/videos", lambda route: route.fulfill(**refusal))
        with visitor.expecting("429"):
            await visitor.generate("a red circle")
            await expect(visitor.page.get_by_role("alert")).to_have_text("Too many. Try again in 40 s.")


async def test_a_request_that_got_no_answer_makes_one_clip(api: LiveApi, browser: Browser) -> None:
    """The answer is lost on its way; pressing the button again finds the job that was made."""
    lost: list[str] = []

    async def lose_first(route: Route) -> None:
        answer = await route.fetch()
        if lost:
            await route.fulfill(response=answer)
        else:
            lost.append((await answer.json())["id"])
            await route.abort()

    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        await visitor.page.route("**/videos", lose_first)
        with visitor.expecting("ERR_FAILED"):
            await visitor.generate("a lost answer")
            await expect(visitor.page.locator("#problem")).to_contain_text("does not answer")
            await visitor.page.get_by_role("button", name="Generate").click()
            await visitor.finished()
    found = (await api.client.get("/jobs", params={"q": "a lost answer"})).json()["data"]
    assert [job["id"] for job in found] == lost


async def test_presets_are_tiers_and_steps(api: LiveApi, browser: Browser) -> None:
    demo = (await api.client.get("/models/demo")).json()
    tiers = {tier["quality"]: tier for tier in demo["tiers"]}
    async with visit(browser, str(api.client.base_url)) as visitor:
        page = visitor.page
        steps, quality, scheduler = (
            page.locator(f"#field-{name}") for name in ("num_inference_steps", "quality", "scheduler")
        )
        await visitor.open()
        for preset, tier, factor in (("Draft", "fast", 1), ("Best", "exact", 2), ("Standard", "exact", 1)):
            await page.get_by_role("group", name="Quality").get_by_text(preset).click()
            await expect(steps).to_have_value(str(factor * tiers[tier]["num_inference_steps"]))
            await expect(quality).to_have_value(tier)
            await expect(scheduler).to_have_value(tiers[tier]["scheduler"])
        await visitor.advanced("Steps", 21)
        await expect(page.locator("input[name=preset]:checked")).to_have_count(0)
        await quality.select_option("balanced")
        await expect(steps).to_have_value(str(tiers["balanced"]["num_inference_steps"]))
        await quality.select_option("exact")
        await expect(page.get_by_role("radio", name="Standard")).to_be_checked()
        await quality.select_option("balanced")
        await visitor.generate("two tiers")
        await visitor.finished()
    (job,) = (await api.client.get("/jobs", params={"q": "two tiers"})).json()["data"]
    assert job["params"]["quality"] == "balanced"


async def test_a_long_history_is_paged_searched_and_filtered(tmp_path: Path, browser: Browser) -> None:
    async with live_api(tmp_path) as api:
        for number in range(60):
            action = "show" if number % 10 else "refuse invalid_output"
            await api.create(f"{action} {number:02}")

        async def all_done() -> bool:
            answers = [
                await api.client.get("/jobs", params={"status": status})
                for status in ("queued", "in_progress")
            ]
            return not any(answer.json()["data"] for answer in answers)

        await eventually(all_done, 120)
        async with visit(browser, str(api.client.base_url), **PHONE) as visitor:
            page = visitor.page
            await visitor.open()
            await expect(visitor.cards).to_have_count(24)
            await page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
            await expect(visitor.cards).not_to_have_count(24)

            async def everything() -> bool:
                await page.mouse.wheel(0, 4000)
                return await visitor.cards.count() == 60

            await eventually(everything, 60)
            await expect(page.get_by_role("button", name="Show more")).to_be_hidden()
            await expect(page.locator("#gallery-note")).to_have_text("60 clips")
            await page.get_by_label("Status").select_option("failed")
            await expect(visitor.cards).to_have_count(6)
            await page.get_by_role("searchbox").fill("30")
            await expect(visitor.cards).to_have_count(1)
            await page.reload()
            await expect(visitor.cards).to_have_count(1)
            await expect(page.get_by_label("Status")).to_have_value("failed")
            await page.get_by_role("searchbox").fill("")
            await page.get_by_label("Model", exact=True).last.select_option("zeroscope_v2_576w")
            await expect(visitor.cards).to_have_count(0)


async def test_the_page_waits_for_a_service_that_is_away(api: LiveApi, browser: Browser) -> None:
    async with visit(browser, str(api.client.base_url)) as visitor:
        await visitor.open()
        with visitor.expecting("ERR_INTERNET_DISCONNECTED"):
            await visitor.context.set_offline(True)
            await visitor.generate("a red circle")
            await expect(visitor.page.locator("#problem")).to_contain_text("does not answer")
            await visitor.context.set_offline(False)
            await visitor.page.get_by_role("button", name="Generate").click()
            await visitor.finished()
            await expect(visitor.page.locator("#problem")).to_be_hidden()
