"""A person at the web page, in a real Chromium."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 60_000

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SIZES = {"desktop": DESKTOP, "phone": PHONE}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        await browser.close()


class Visit:
    """One page, and what its browser complained about."""

    def __init__(self, page: Page, context: BrowserContext, base: str) -> None:
        self.page = page
        self.context = context
        self.base = base
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self._expected: tuple[str, ...] = ()
        page.on("console", lambda message: self._complain(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))

    def _complain(self, text: str) -> None:
        if not any(expected in text for expected in self._expected):
            self.complaints.append(text)

    @contextmanager
    def expecting(self, *complaints: str) -> Iterator[None]:
        """Chromium logs every answer that is an error, also where the page means to get it."""
        self._expected = complaints
        yield
        self._expected = ()

    async def open(self, path: str = "/") -> None:
        await self.page.goto(self.base + path)
        await self.page.locator(".chip").first.wait_for()

    async def generate(self, prompt: str, **fields: int | str) -> None:
        await self.page.get_by_label("Prompt", exact=True).fill(prompt)
        for label, value in fields.items():
            await self.advanced(label.replace("_", " ").capitalize(), value)
        await self.page.get_by_role("button", name="Generate").click()

    async def advanced(self, label: str, value: int | str) -> None:
        if await self.page.locator("#advanced[open]").count() == 0:
            await self.page.locator("summary").click()
        await self.page.get_by_label(label, exact=True).fill(str(value))

    @property
    def stage(self) -> Locator:
        return self.page.locator("#stage")

    @property
    def cards(self) -> Locator:
        return self.page.locator("#gallery > li")

    @property
    def details(self) -> Locator:
        return self.page.get_by_role("dialog").first

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page.locator("body")).get_by_role("button", name=name, exact=True)

    async def finished(self) -> Locator:
        """The player of the clip that was made."""
        player = self.stage.locator("video")
        await player.wait_for()
        return player


@asynccontextmanager
async def visit(browser: Browser, base: str, **options: Any) -> AsyncIterator[Visit]:
    """A visitor with a profile of their own. Fails when the browser complained or asked anybody else."""
    context = await browser.new_context(**(DESKTOP | options))
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    visitor = Visit(page, context, base)
    try:
        yield visitor
    finally:
        await context.close()
    assert visitor.complaints == [], visitor.complaints
    assert all(url.startswith((base, "data:", "blob:")) for url in visitor.requested), visitor.requested
