"""The widget in a real Chromium, as a customer would use it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
PATIENCE_MS = 10_000


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A headless Chromium of this machine."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = await playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        await browser.close()


@dataclass
class Widget:
    """A page with the widget, and what went wrong on it."""

    page: Page
    complaints: list[str]

    def part(self, selector: str) -> Locator:
        return self.page.locator(f"assistant-chat {selector}")

    @property
    def input(self) -> Locator:
        return self.part(".field textarea")

    @property
    def own(self) -> Locator:
        return self.part(".customer")

    @property
    def answers(self) -> Locator:
        return self.part(".assistant.message")

    async def open(self) -> None:
        await self.part(".launcher").click()

    async def say(self, text: str) -> None:
        await self.input.fill(text)
        await self.input.press("Enter")

    async def ask(self, text: str) -> Locator:
        """Ask, and wait for the whole answer."""
        before = await self.answers.count()
        await self.say(text)
        await expect(self.answers).to_have_count(before + 1)
        return self.answers.nth(before)

    async def reload(self) -> None:
        await self.page.reload()
        await self.open()

    async def has_focus(self, selector: str) -> bool:
        return bool(await self.part(selector).evaluate("(node) => node.getRootNode().activeElement === node"))


async def visit(chromium: Browser, url: str, **context: object) -> Widget:
    opened: BrowserContext = await chromium.new_context(**context)  # type: ignore[arg-type]
    page = await opened.new_page()
    widget = Widget(page, [])
    page.on("pageerror", lambda error: widget.complaints.append(str(error)))
    page.on("console", lambda line: widget.complaints.append(line.text) if line.type in ("error", "warning") else None)
    await page.goto(url)
    await expect(widget.part(".launcher")).to_be_visible()
    return widget
