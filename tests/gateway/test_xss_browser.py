"""Two hundred scripts that want to run in the widget, by every way that text gets there; none does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Request, Route, expect

from assistant.conversation.events import Attachment, Citation, ConversationId, Message, NewEvent, State, new_id
from assistant.dialogue.markup import plain_html, to_html
from assistant.gateway.pages import POLICY
from tests.browser import Widget, launched
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig

pytestmark = pytest.mark.browser

PAYLOADS = Path(__file__).with_name("xss_payloads.txt").read_text(encoding="utf-8").splitlines()
PER_APPEND = 40
# `alert` is what every payload calls; a frame of its own calls its parent's.
WATCH = """
window.ran = [], window.blocked = [];
for (const name of ["alert", "msgbox"]) window[name] = (...values) => { window.ran.push(values.join()); };
document.addEventListener("securitypolicyviolation", (event) => window.blocked.push(event.violatedDirective));
"""
# What a reader does: every element is touched, focused and clicked; links and buttons of forms do not lead away.
TOUCH = """() => {
  const root = document.querySelector("assistant-chat").shadowRoot;
  const kinds = "pointerenter mouseover mouseenter focus click blur toggle animationstart error load".split(" ");
  const nodes = [...root.querySelectorAll(".content *, .sources *, .note, .greeting *, .title, .chip")];
  root.addEventListener("click", (event) => { if (event.target.closest("a")) event.preventDefault(); }, true);
  for (const node of nodes)
    for (const kind of kinds.filter((kind) => kind !== "click" || !node.closest("button")))
      node.dispatchEvent(new Event(kind, { bubbles: true, cancelable: true }));
  return nodes.length;
}"""
# What stands where texts are shown: names of elements, of their attributes, and where links lead.
INVENTORY = """() => {
  const root = document.querySelector("assistant-chat").shadowRoot;
  const nodes = [...root.querySelectorAll(".content, .content *, .sources blockquote *, .source-title *")];
  return {
    tags: [...new Set(nodes.map((node) => node.localName))],
    attributes: [...new Set(nodes.flatMap((node) => node.getAttributeNames()))],
    protocols: [...new Set(nodes.filter((node) => node.href).map((node) => new URL(node.href).protocol))],
  };
}"""
# The same payloads on a page without a policy, put there as nobody should.
EXPOSED = """(payloads) => {
  for (const payload of payloads) document.body.append(document.createRange().createContextualFragment(payload));
}"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


async def watched(chromium: Browser, url: str, *, home: str) -> tuple[Widget, list[str]]:
    """The widget on a page that notes what runs and what it asks other hosts for."""
    page, strangers = await chromium.new_page(), list[str]()
    widget = Widget(page, [])
    page.on("pageerror", lambda error: widget.complaints.append(str(error)))
    page.on("console", lambda line: widget.complaints.append(line.text) if line.type in ("error", "warning") else None)

    async def keep_at_home(route: Route, request: Request) -> None:
        if request.url.startswith((home, home.replace("http", "ws"), "data:", "about:")):
            await route.continue_()
        else:
            strangers.append(request.url)
            await route.abort()

    await page.route("**/*", keep_at_home)
    await page.add_init_script(WATCH)
    await page.goto(url)
    await expect(widget.part(".launcher")).to_be_visible()
    return widget, strangers


def answer_to(text: str, html: str, *, citations: tuple[Citation, ...] = ()) -> NewEvent:
    message_id = new_id("m")
    return NewEvent(
        "assistant",
        Message(message_id, text, html, "en", decision="composed", citations=citations, finish_reason="stop"),
    )


def events_with(payload: str) -> list[NewEvent]:
    """One payload as the customer's text, as a file's name, and in an answer's Markdown and sources."""
    faq = Citation(f"faq {payload}", payload, payload, "en", payload, 0, 1, 0, 1)
    return [
        NewEvent("customer", Message(new_id("m"), payload, plain_html(payload), "en")),
        NewEvent("customer", Attachment(new_id("u"), payload, "image/png", 1, "0" * 64)),
        answer_to(payload, to_html(payload), citations=(faq,)),
    ]


async def show(rig: Rig, widget: Widget, events: list[NewEvent]) -> None:
    """Commit the events and an answer after them, and wait until all are there."""
    stored = await widget.page.evaluate("() => Object.values(localStorage).map((text) => JSON.parse(text))")
    before = await widget.answers.count()
    last = Message(new_id("m"), "end", to_html("end"), "en", decision="clarified", quick_replies=tuple(PAYLOADS[:20]))
    events = [*events, NewEvent("assistant", last)]
    for start in range(0, len(events), PER_APPEND):
        await rig.parts.log.append(ConversationId(stored[0]["conversation_id"]), events[start : start + PER_APPEND])
    await expect(widget.answers).to_have_count(before + sum(event.author == "assistant" for event in events))


async def touch(widget: Widget) -> int:
    """Do all that a reader may do; how many elements there were to do it with."""
    touched = int(await widget.page.evaluate(TOUCH))
    await widget.page.wait_for_timeout(300)  # what was to load or to fail has done so
    return touched


async def test_no_script_runs_by_answer_customer_or_faq(start: StartRig, chromium: Browser) -> None:
    everything = " ".join(PAYLOADS)
    rig = await start(extra={"brand": {"name": {"en": everything}, "greeting": {"en": everything}}})
    rig.responder.sentences = [f"{payload} " for payload in PAYLOADS]
    widget, strangers = await watched(chromium, rig.url("/"), home=rig.own_origin)
    await widget.open()
    await widget.ask(PAYLOADS[0])  # its answer streams all the others
    state = NewEvent("system", State("human", reason=everything, assignee=everything))
    await show(rig, widget, [state, *(event for payload in PAYLOADS for event in events_with(payload))])
    assert await touch(widget) > 2 * len(PAYLOADS)
    assert await widget.page.evaluate("() => [window.ran, window.blocked]") == [[], []]
    assert widget.complaints == []
    # The widget cleans once more, in a document without scripts; that the policy would stop them too is only told.
    await show(rig, widget, [answer_to("past the server's cleaner", payload) for payload in PAYLOADS])
    await touch(widget)
    assert await widget.page.evaluate("() => window.ran") == []
    assert strangers == []
    found = await widget.page.evaluate(INVENTORY)
    assert not {"script", "img", "svg", "iframe", "style", "form", "input", "object", "base", "meta"} & set(
        found["tags"]
    )
    assert set(found["attributes"]) <= {"class", "lang", "dir", "href", "title", "rel", "target", "start"}
    assert set(found["protocols"]) <= {"https:", "http:", "mailto:", "tel:"}


async def test_the_same_payloads_run_where_nothing_cleans_them(chromium: Browser) -> None:
    page, ran_there = await chromium.new_page(), list[object]()
    await page.route("**/*", lambda route: route.abort())
    await page.expose_function("alert", lambda *values: ran_there.append(values))
    staying = [payload for payload in PAYLOADS if not re.match("<(meta|base|frameset|form)", payload)]
    await page.evaluate(EXPOSED, staying)
    await page.wait_for_timeout(500)
    assert len(ran_there) >= 40
    assert len(PAYLOADS) >= 200
    assert len(set(PAYLOADS)) == len(PAYLOADS)


def test_the_policy_allows_nothing_inline_and_nothing_of_others() -> None:
    directives = dict(directive.strip().split(" ", 1) for directive in POLICY.split(";"))
    assert "unsafe" not in POLICY
    assert "*" not in POLICY
    for name in ("default-src", "script-src", "style-src"):
        assert directives[name] == "'self'"
    assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
