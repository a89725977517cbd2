"""Takes the README's pictures of the web page, from a service of its own with the demo model.

    python -m benchmarks.screenshots docs

Writes page.png, a clip that was just made above the ones before it, and progress.png, a clip in the making.
Needs Playwright and a Chromium.
"""

import argparse
import re
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.running_service import request, running_service

HISTORY = (
    "a small yellow star falling on a blue background",
    "an orange star drifting left",
    "a purple circle floating up on a green background",
    "a large green triangle rising",
    "a white circle gliding right on grey",
    "a red square standing still on white",
    "a blue circle moving down on white",
    "a pink star moving up",
    "a yellow circle sliding right on green",
    "a red triangle moving left on blue",
)
PROMPT = "a red circle moving left"
STEPS, SEED = 100, 7
SHOWN_PERCENT = re.compile(r"(3[5-9]|4\d|5\d)%")
SHOW_MIDDLE = """async (video) => {
    video.pause();
    video.controls = false;
    const seeked = new Promise(done => video.addEventListener('seeked', done, {once: true}));
    video.currentTime = video.duration / 2;
    await seeked;
}"""
WAIT_MS = 300_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the PNGs go")
    folder: Path = parser.parse_args().folder
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with running_service() as client, sync_playwright() as playwright:
        for seed, prompt in enumerate(HISTORY):
            request(client, {"prompt": prompt}, seed)
        url = str(client.base_url)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        take_progress(browser, url, folder / "progress.png")
        take_page(browser, url, folder / "page.png")
        browser.close()


def take_progress(browser: Browser, url: str, path: Path) -> None:
    """The dark page while a clip is made and two wait."""
    page = open_page(browser, url, height=978, color_scheme="dark")
    set_advanced(page, Steps=STEPS, Seed=SEED)
    generate = page.get_by_role("button", name="Generate")
    for waiting, prompt in enumerate((PROMPT, *HISTORY[:2])):
        page.get_by_label("Prompt", exact=True).fill(prompt)
        generate.click()
        if waiting:
            page.locator("#queue li").nth(waiting - 1).wait_for()
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    leave(page)
    expect(page.locator("#stage .percent")).to_have_text(SHOWN_PERCENT, timeout=WAIT_MS)
    save(page, path)
    page.locator("#queue").wait_for(state="hidden")
    page.locator("#stage video").wait_for()
    page.close()


def take_page(browser: Browser, url: str, path: Path) -> None:
    """The light page with its newest clip."""
    page = open_page(browser, url, height=1264, color_scheme="light")
    page.locator(".chip", has_text=PROMPT).click()
    set_advanced(page, Seed=SEED)
    page.get_by_role("button", name="Generate").click()
    video = page.locator("#stage video")
    expect(video).to_have_js_property("readyState", 4, timeout=WAIT_MS)
    video.evaluate(SHOW_MIDDLE)
    leave(page)
    page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished))")
    for image in page.locator("#gallery img").all():
        expect(image).to_have_js_property("complete", True)
    save(page, path)
    page.close()


def open_page(browser: Browser, url: str, *, height: int, color_scheme: Any) -> Page:
    page = browser.new_page(
        viewport={"width": 1280, "height": height}, color_scheme=color_scheme, reduced_motion="no-preference"
    )
    page.set_default_timeout(WAIT_MS)
    page.goto(url)
    page.locator(".chip").first.wait_for()
    return page


def set_advanced(page: Page, **values: int) -> None:
    page.locator("summary").click()
    for label, value in values.items():
        page.get_by_label(label, exact=True).fill(str(value))
    page.locator("summary").click()


def leave(page: Page) -> None:
    """Nothing is pointed at or has the focus, and the page is at its top."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def save(page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(path, optimize=True)
    print(f"wrote {path}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
