"""The widget in a real Chromium, on the real gateway with a scripted answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from assistant.conversation.events import Citation, ConversationId, Feedback, Message, NewEvent, State
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from assistant.gateway.protocol import CloseCode
from tests.browser import Widget, launched, visit
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, reply

pytestmark = pytest.mark.browser

DENY_STORAGE = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
"""
# Text and what it stands on, as the widget's contrast has to hold for any accent and theme.
CONTRASTS = """() => {
  const root = document.querySelector("assistant-chat").shadowRoot;
  const computed = (selector) => getComputedStyle(root.querySelector(selector));
  const style = (selector, name) => computed(selector)[name].match(/[\\d.]+/g).slice(0, 3).map(Number);
  const linear = (part) => (part <= 10.31 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => sum + weight * linear(rgb[i]), 0.05);
  const ratio = (a, b) => Math.max(light(a), light(b)) / Math.min(light(a), light(b));
  return {
    chip: ratio(style(".chip", "color"), style(".panel", "backgroundColor")),
    avatar: ratio(style(".avatar", "color"), style(".avatar", "backgroundColor")),
    answer: ratio(style(".root", "color"), style(".bubble", "backgroundColor")),
    muted: ratio(style(".subtitle", "color"), style(".bubble", "backgroundColor")),
  };
}"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
async def widget(rig: Rig, chromium: Browser) -> Widget:
    found = await visit(chromium, rig.url("/"))
    await found.open()
    return found


def drop_sockets(rig: Rig, code: CloseCode = CloseCode.BROKEN) -> None:
    for socket in list(rig.gateway.sockets._open):
        socket.end(code)


async def conversation_of(widget: Widget) -> ConversationId:
    stored = await widget.page.evaluate("() => Object.values(localStorage).map((text) => JSON.parse(text))")
    return ConversationId(stored[0]["conversation_id"])


# -- asking and answering


@pytest.mark.parametrize(
    ("language", "sources", "placeholder"),
    [("en", "Sources (1)", "Write a message…"), ("zh", "参考来源（1）", "请输入您的问题…")],
)
async def test_a_tapped_question_is_answered_with_its_sources_in_the_pages_language(
    rig: Rig, chromium: Browser, language: str, sources: str, placeholder: str
) -> None:
    citation = Citation(
        f"{language}/returns#return-item", "退货 Returns", "returns.md", language, "30 days", 0, 7, 0, 7
    )

    async def answer(question: Question, sink: Sink) -> Reply:
        return reply("You have **30 days**.", citations=(citation,), quick_replies=("And shoes?",))

    rig.responder.answer = answer
    widget = await visit(chromium, rig.url(f"/?lang={language}"))
    await widget.page.locator(f".ask[lang^={language}]").first.click()
    await expect(widget.answers.locator("strong")).to_have_text("30 days")
    await expect(widget.input).to_have_attribute("placeholder", placeholder)
    await widget.part("summary").click()
    assert await widget.part("summary").inner_text() == sources
    await expect(widget.part("blockquote")).to_have_text("30 days")
    await widget.part(".chip").click()
    await expect(widget.own).to_have_count(2)
    assert widget.complaints == []  # the demo page's policy forbids whatever is inline


async def test_an_answer_appears_piece_by_piece_and_is_announced_once_when_whole(rig: Rig, widget: Widget) -> None:
    rig.responder.holds = True
    await widget.say("How long can I return an item?")
    await expect(widget.part(".streaming .content")).to_have_text("You have 30 days.")
    assert "30 days" not in await widget.part("[role=log][aria-live=polite]").inner_text()
    for _ in rig.responder.sentences:
        rig.responder.go.put_nowait(None)
    await expect(widget.answers.locator(".content")).to_have_text("You have 30 days. Shoes have 60.")
    await expect(widget.part(".streaming")).to_have_count(0)
    assert (await widget.part("[role=log][aria-live=polite]").inner_text()).count("30 days") == 1


async def test_the_stop_button_ends_the_answer_and_gives_the_focus_back(rig: Rig, widget: Widget) -> None:
    rig.responder.holds = True
    await widget.say("Tell me everything")
    await expect(widget.part(".round.send")).to_be_hidden()
    await expect(widget.part(".streaming")).to_be_visible()
    await widget.part(".round.stop").click()
    await expect(widget.answers.locator(".content")).to_have_text("You have 30 days.")
    await expect(widget.answers.locator(".finish")).to_have_text("Stopped")
    await expect(widget.part(".round.send")).to_be_visible()
    assert await widget.has_focus(".field textarea")


async def test_a_second_cleaning_drops_what_is_no_plain_markup(widget: Widget) -> None:
    cleaned = await widget.page.evaluate(
        """async (html) => {
          const { cleanHtml } = await import("/static/clean_html.js");
          const box = document.createElement("div");
          box.append(cleanHtml(html));
          return box.innerHTML;
        }""",
        '<p class="x">a<script>b</script><img src="/x"><u>c</u><a href="javascript:d">e</a>'
        '<a href="https://f.example/">g</a></p><svg><style>h</style></svg><iframe></iframe><form><b>i</b></form>',
    )
    assert cleaned == (
        '<p>ac<a>e</a><a href="https://f.example/" target="_blank" rel="noopener noreferrer nofollow">g</a></p><b>i</b>'
    )


async def test_what_a_customer_writes_is_shown_as_text(widget: Widget) -> None:
    await widget.ask("<b>bold</b> <img src=x>")
    assert await widget.own.locator(".content").inner_html() == "&lt;b&gt;bold&lt;/b&gt; &lt;img src=x&gt;"


async def test_an_abstention_shows_how_to_reach_the_team_and_a_person_can_be_asked_for(
    start: StartRig, chromium: Browser
) -> None:
    rig = await start(extra={"handoff": {"email": "help@shop.example", "phone": {"en": "+49 30 5550"}}})

    async def answer(question: Question, sink: Sink) -> Reply:
        return Reply("I do not know that.", "en", "abstained", "no passage", confidence=0.1)

    rig.responder.answer = answer
    widget = await visit(chromium, rig.url("/"))
    await widget.open()
    await widget.ask("Do you sell boats?")
    await expect(widget.part(".contact a[href='mailto:help@shop.example']")).to_be_visible()
    await expect(widget.part(".contact a[href='tel:+49305550']")).to_be_visible()
    await widget.part(".contact button").click()
    await expect(widget.part(".subtitle")).to_have_text("You are number 1 in the queue")


async def test_contact_details_that_the_answer_gives_itself_become_links_and_are_not_repeated(
    start: StartRig, chromium: Browser
) -> None:
    rig = await start(extra={"handoff": {"email": "help@shop.example", "phone": {"en": "+49 30 5550"}}})
    widget = await visit(chromium, rig.url("/"))
    await widget.open()
    await expect(widget.part(".subtitle")).to_have_text("Automated assistant")
    await widget.part(".person").click()
    await expect(widget.answers.locator(".content a[href='mailto:help@shop.example']")).to_be_visible()
    await expect(widget.answers.locator(".content a[href='tel:+49305550']")).to_be_visible()
    assert await widget.part(".contact").count() == 0


async def test_a_rating_and_its_comment_reach_the_log(rig: Rig, widget: Widget) -> None:
    answer = await widget.ask("How long does delivery take?")
    await answer.get_by_label("Helpful", exact=True).click()
    await answer.get_by_label("Not helpful").click()
    await expect(answer.get_by_label("Helpful", exact=True)).to_have_attribute("aria-pressed", "false")
    await answer.get_by_label("What was missing?").fill("the price")
    await answer.get_by_text("Send feedback").click()
    await expect(answer.locator(".thanks")).to_be_visible()
    await widget.ask("Thanks")  # frames are done in order, so the ratings are stored
    events = await rig.parts.log.events(await conversation_of(widget))
    ratings = [(e.payload.rating, e.payload.comment) for e in events if isinstance(e.payload, Feedback)]
    assert ratings == [("up", ""), ("down", ""), ("down", "the price")]


# -- drops, reloads, offline


async def test_a_reload_shows_the_conversation_again_with_nothing_unread(widget: Widget) -> None:
    await widget.ask("How long can I return an item?")
    before = await widget.part(".message .content").all_inner_texts()
    await widget.page.reload()
    await expect(widget.answers).to_have_count(1)
    assert await widget.part(".root.unread").count() == 0
    await widget.open()
    assert await widget.part(".message .content").all_inner_texts() == before


async def test_an_answer_goes_on_in_its_bubble_after_a_drop(rig: Rig, widget: Widget) -> None:
    rig.responder.holds = True
    await widget.say("How long can I return an item?")
    await expect(widget.part(".streaming")).to_be_visible()
    drop_sockets(rig)
    rig.responder.go.put_nowait(None)
    await expect(widget.part(".streaming .content")).to_have_text("You have 30 days. Shoes have 60.")
    rig.responder.go.put_nowait(None)
    await expect(widget.answers).to_have_count(1)
    await expect(widget.part(".message")).to_have_count(2)
    assert await widget.part(".streaming").count() == 0


async def test_what_was_written_without_a_connection_is_sent_once_and_in_order(rig: Rig, widget: Widget) -> None:
    await expect(widget.part(".subtitle")).to_have_text("Automated assistant")
    await widget.page.route("**/v1/visitor-tokens", lambda route: route.abort())
    drop_sockets(rig)
    for text in ("one", "two", "three"):
        await widget.say(text)
    await expect(widget.part(".banner")).to_contain_text("Connection lost")
    await widget.reload()
    await expect(widget.own).to_have_count(3)
    await widget.page.unroute("**/v1/visitor-tokens")
    await expect(widget.answers).to_have_count(3)
    assert rig.responder.questions == ["one", "two", "three"]
    await expect(widget.part(".banner")).to_be_hidden()


async def test_a_message_that_finds_the_house_full_waits_and_is_sent_by_itself(
    start: StartRig, chromium: Browser
) -> None:
    rig = await start(extra={"dialogue": {"max_turns": 1}})
    rig.responder.holds = True
    first = await (await rig.visitor()).join()
    await first.say("I take the only place")
    await first.until("delta")
    widget = await visit(chromium, rig.url("/"))
    await widget.open()
    await widget.say("How long does delivery take?")
    await expect(widget.part(".state")).to_contain_text("In line")
    rig.responder.holds = False
    rig.responder.go.put_nowait(None)
    await expect(widget.answers).to_have_count(1)
    await first.close()


async def test_a_replaced_socket_stays_away_until_asked_back(rig: Rig, widget: Widget) -> None:
    await expect(widget.part(".subtitle")).to_have_text("Automated assistant")
    drop_sockets(rig, CloseCode.REPLACED)
    await expect(widget.part(".banner")).to_contain_text("another window")
    await asyncio.sleep(1.5)  # longer than the first backoff
    assert not rig.gateway.sockets._open
    await widget.part(".banner button").click()
    await expect(widget.part(".subtitle")).to_have_text("Automated assistant")


async def test_a_visitor_the_server_no_longer_knows_begins_anew(rig: Rig, widget: Widget) -> None:
    await widget.ask("How long does delivery take?")
    await widget.page.evaluate(
        "() => { for (const [key, text] of Object.entries(localStorage)) "
        "localStorage.setItem(key, JSON.stringify({ ...JSON.parse(text), visitor_secret: 'wrong' })); }"
    )
    drop_sockets(rig)
    await expect(widget.own).to_have_count(0)
    await widget.ask("How long does delivery take?")


async def test_it_works_where_storage_is_denied(rig: Rig, chromium: Browser) -> None:
    widget = await visit(chromium, rig.url("/"))
    await widget.page.add_init_script(DENY_STORAGE)
    await widget.reload()
    await widget.ask("How long does delivery take?")


async def test_a_person_who_answers_while_it_is_closed_lights_the_dot(rig: Rig, widget: Widget) -> None:
    await widget.ask("How long does delivery take?")
    await widget.input.press("Escape")
    said = Message("m_anna", "Hello, Anna here.", "<p>Hello, Anna here.</p>", "en")
    events = [NewEvent("agent", State("human", assignee="Anna")), NewEvent("agent", said)]
    await rig.parts.log.append(await conversation_of(widget), events)
    await expect(widget.part(".launcher")).to_have_attribute("aria-label", "Open chat, new message")
    await widget.open()
    await expect(widget.part(".who")).to_have_text("Anna")
    await expect(widget.part(".launcher")).to_have_attribute("aria-label", "Close chat")


async def test_a_new_conversation_is_asked_for_and_begins_empty(rig: Rig, widget: Widget) -> None:
    await widget.ask("How long does delivery take?")
    old = await conversation_of(widget)
    await widget.part("[aria-label='New conversation']").click()
    await widget.page.keyboard.press("Escape")
    await expect(widget.own).to_have_count(1)
    await widget.part("[aria-label='New conversation']").click()
    await widget.part(".confirm").get_by_text("Start new").click()
    await expect(widget.own).to_have_count(0)
    await widget.ask("And abroad?")
    assert await conversation_of(widget) != old


# -- keys, focus, sizes, colours


async def test_the_enter_of_an_input_method_does_not_send(widget: Widget) -> None:
    await widget.input.focus()
    session = await widget.page.context.new_cdp_session(widget.page)
    await session.send("Input.imeSetComposition", {"text": "tuihuo", "selectionStart": 6, "selectionEnd": 6})
    await session.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "key": "Enter", "windowsVirtualKeyCode": 229})
    await session.send("Input.insertText", {"text": "退货"})
    await widget.input.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    await widget.input.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await widget.input.press("Shift+Enter")
    assert await widget.own.count() == 0
    await widget.input.press("Enter")
    await expect(widget.own.locator(".content")).to_have_text("退货")


async def test_the_focus_follows_opening_and_closing(widget: Widget) -> None:
    assert await widget.has_focus(".field textarea")
    await widget.page.keyboard.press("Escape")
    await expect(widget.part(".panel")).to_be_hidden()
    assert await widget.has_focus(".launcher")


async def test_on_a_phone_it_fills_the_screen_and_keeps_the_focus(rig: Rig, chromium: Browser) -> None:
    widget = await visit(chromium, rig.url("/"), viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    await widget.open()
    assert await widget.part(".panel").bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
    await expect(widget.part(".launcher")).to_be_hidden()
    for _ in range(12):
        await widget.page.keyboard.press("Tab")
        assert await widget.page.evaluate("() => document.activeElement.localName") == "assistant-chat"


async def test_the_counter_counts_characters_and_refuses_too_many(start: StartRig, chromium: Browser) -> None:
    rig = await start(max_text_chars=100)
    widget = await visit(chromium, rig.url("/"))
    await widget.open()
    await expect(widget.part(".subtitle")).to_have_text("Automated assistant")
    await widget.input.fill("😀" * 95)
    await expect(widget.part(".counter")).to_have_text("5 characters left")
    await widget.input.fill("😀" * 101)
    await expect(widget.part(".counter")).to_have_text("1 characters too many")
    await widget.input.press("Enter")
    assert await widget.own.count() == 0


@asynccontextmanager
async def another_site(attributes: str) -> AsyncIterator[tuple[TestServer, list[str]]]:
    """A shop on another origin, with as strict a policy as the widget allows; the list takes the gateway's origin."""
    origins: list[str] = []

    async def page(_: web.Request) -> web.Response:
        api = origins[0]
        policy = f"default-src 'none'; script-src {api}; connect-src {api} {api.replace('http', 'ws')}"
        html = (
            f'<!doctype html><html lang="en"><body><script src="{api}/widget.js" {attributes}></script></body></html>'
        )
        headers = {"Content-Security-Policy": policy + "; require-trusted-types-for 'script'"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    app = web.Application()
    app.router.add_get("/", page)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None)
    try:
        yield server, origins
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("accent", "theme"), [("#2f5d50", "dark"), ("#ffd400", "light"), ("#7fb3ff", "light"), ("rebeccapurple", "dark")]
)
async def test_another_site_embeds_it_under_a_strict_policy_in_any_readable_colour(
    start: StartRig, chromium: Browser, accent: str, theme: str
) -> None:
    attributes = f'data-accent="{accent}" data-theme="{theme}" data-suggestions="Delivery?|Returns?"'
    async with another_site(attributes) as (site, origins):
        site_origin = f"http://127.0.0.1:{site.port}"
        rig = await start(allowed_origins=(site_origin,))
        origins.append(rig.own_origin)
        widget = await visit(chromium, site_origin)
        await widget.open()
        await expect(widget.part(".chip")).to_have_count(2)
        ratios = await widget.page.evaluate(CONTRASTS)
        assert min(ratios.values()) >= 4.5, ratios  # WCAG 2.2, level AA
        await widget.ask("How long does delivery take?")
        await expect(widget.answers.locator(".content p")).to_be_visible()  # the HTML passed the trusted types
        assert [line for line in widget.complaints if not re.search("favicon|404", line)] == []
