"""The demo shop in a real browser, answered by the real models: what a visitor sees first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.browser import launched, visit
from tests.end_to_end.conftest import Server

pytestmark = [pytest.mark.real, pytest.mark.browser]
MODEL_PATIENCE_MS = 30_000


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        expect.set_options(timeout=MODEL_PATIENCE_MS)
        yield browser


@pytest.mark.parametrize(
    ("page", "question", "steps", "follow_up", "fact"),
    [
        ("/", "How do I return an item?", "Find the order", "and what does it cost?", "3.90"),
        ("/?lang=zh", "如何退货？", "找到订单", "那运费呢？", "10 元"),
    ],
)
async def test_a_customer_asks_twice_reloads_and_finds_everything_again(
    server: Server, chromium: Browser, page: str, question: str, steps: str, follow_up: str, fact: str
) -> None:
    widget = await visit(chromium, server.url + page)
    await widget.open()
    await expect(await widget.ask(question)).to_contain_text(steps)
    await expect(await widget.ask(follow_up)).to_contain_text(fact)
    attack = "<img src=x onerror=alert(1)>"
    await widget.ask(attack)
    await widget.reload()
    await expect(widget.own).to_contain_text([question, follow_up, attack])
    await expect(widget.answers.filter(has_text=steps)).to_have_count(1)
    await expect(widget.answers.filter(has_text=fact)).to_have_count(1)
    assert widget.complaints == []
