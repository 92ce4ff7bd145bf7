"""In Chromium: a customer whom the site signs in and out, their place in the queue, and the people on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from assistant.conversation.events import ConversationId
from tests.browser import Widget, launched, visit
from tests.gateway.agents_rig import customer, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig
from tests.gateway.test_identity import configure, signed
from tests.gateway.test_signed_in import asked_by, rig

pytestmark = pytest.mark.browser
__all__ = ["asked_by", "configure", "rig"]  # the fixtures

IDENTIFY = """async (identity) => {
  const once = { once: true };
  const told = new Promise((resolve) => addEventListener("assistant:identity", ({ detail }) => resolve(detail), once));
  await assistant.identify(identity);
  return (await told).isAccepted;
}"""
WRITTEN_IN_THE_PAGE = """(identity) => {
  const chat = document.querySelector("assistant-chat");
  chat.dataset.identity = JSON.stringify(identity);
  document.body.append(chat);  // as if it were new on the page
}"""
STORED = """() => JSON.stringify(
  [Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href]
)"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


async def test_a_customer_is_signed_in_and_out_by_the_page(
    rig: Rig, chromium: Browser, asked_by: list[str | None]
) -> None:
    widget = await visit(chromium, rig.url("/"))
    await widget.open()
    await widget.ask("Where is my order?")
    proof = signed("u-7")
    assert await widget.page.evaluate(IDENTIFY, proof) is True
    await expect(widget.own).to_have_count(1)  # the conversation goes on
    await widget.ask("And now?")
    stored = await widget.page.evaluate(STORED)
    assert not [value for value in (proof["signature"], "u-7") if value in stored]

    await widget.page.evaluate("() => assistant.signOut()")
    await expect(widget.own).to_have_count(0)
    await widget.ask("Where is my order?")
    assert asked_by == [None, "u-7", None]
    await widget.reload()
    await expect(widget.own).to_have_count(1)
    assert widget.complaints == []


async def test_a_proof_that_does_not_hold_shows_nothing_of_who_was_signed_in(
    rig: Rig, chromium: Browser, asked_by: list[str | None]
) -> None:
    widget = await visit(chromium, rig.url("/"))
    await widget.open()
    assert await widget.page.evaluate(IDENTIFY, signed("u-7")) is True
    await widget.ask("Where is my order?")
    assert await widget.page.evaluate(IDENTIFY, signed("u-8", secret="not the shop's")) is False
    await expect(widget.own).to_have_count(0)
    await widget.ask("Where is my order?")
    assert await widget.page.evaluate(IDENTIFY, signed("u-9")) is True
    await expect(widget.own).to_have_count(1)
    assert await widget.page.evaluate(IDENTIFY, signed("u-7", nonce="again")) is True
    await expect(widget.own).to_have_count(0)  # it was asked as u-9
    assert asked_by == ["u-7", None]


async def test_a_function_is_asked_when_a_connection_is_made_and_again_for_a_proof_too_old(
    rig: Rig, chromium: Browser, asked_by: list[str | None]
) -> None:
    widget = await visit(chromium, rig.url("/"))
    proofs = [signed("u-7", expires=1), signed("u-7")]
    await widget.page.evaluate("(proofs) => assistant.identify(async () => proofs.shift())", proofs)
    await widget.open()
    await widget.ask("Where is my order?")
    await widget.page.evaluate(WRITTEN_IN_THE_PAGE, signed("u-9"))
    await widget.open()
    await widget.ask("Where is my order?")
    assert asked_by == ["u-7", "u-9"]


@pytest.mark.parametrize(
    ("language", "second", "first"),
    [
        ("en", "You are number 2 in the queue", "You are number 1 in the queue"),
        ("zh", "您前面还有 1 位", "您排在第一位"),
    ],
)
async def test_the_place_in_the_queue_is_shown_and_then_who_writes_to_whom(
    start: StartRig, chromium: Browser, language: str, second: str, first: str
) -> None:
    rig = await start(extra={"agents": {"refresh_s": 0.05}})
    earlier: Any = await customer(rig)
    await earlier.send("handoff")
    await earlier.until("queue")
    mia = await (await hire(rig)).join()
    widget = await visit(chromium, rig.url(f"/?lang={language}"))
    await widget.open()
    await widget.ask("Hello")
    await widget.part(".person").click()
    await expect(widget.part(".subtitle")).to_contain_text(second)
    await mia.did("claim", earlier.conversation_id)
    await expect(widget.part(".subtitle")).to_contain_text(first)

    place = await conversation_of(widget)
    await mia.did("claim", place)
    await expect(widget.part(".subtitle")).to_contain_text("Mia")
    await mia.watch(place)
    await widget.input.press_sequentially("Hm")
    await mia.until("typing")
    await mia.did("reply", place, client_msg_id="r1", text="I am Mia.")
    await expect(widget.part(".agent")).to_contain_text("I am Mia.")
    assert widget.complaints == []


async def conversation_of(widget: Widget) -> ConversationId:
    stored = await widget.page.evaluate("() => Object.values(localStorage).map((text) => JSON.parse(text))")
    return ConversationId(stored[0]["conversation_id"])
