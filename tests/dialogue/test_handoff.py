"""A wish for a person, and an address that is left while waiting for one."""

from __future__ import annotations

import pytest

from assistant.config import Settings
from assistant.dialogue.handoff import address_left, wants_person
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question, Reply
from assistant.values import Reading, Urgency
from tests.dialogue.scripted import WINDOW, FixedReader, FixedRetriever, ScriptedGenerator, Shown, hit

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "我要转人工，都什么时候了还没发货",
        "我要转人工都什么时候了",
        "Let me talk to a human, it is open since last week",
        "我要投诉，转人工，等了这么长时间",
        "What are your opening hours? And I want to talk to a person.",
        "上班时间让真人联系我",
        "我要找專員",
        "ＨＵＭＡＮ",
        "it is late again, " * 1000 + "let me talk to a human",
        "when can I talk to a person? " * 20 + "I want to talk to a person.",
    ],
)
def test_a_time_elsewhere_takes_no_wish_for_a_person_back(text: str) -> None:
    assert wants_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "When can I talk to a person?",
        "人工客服几点上班",
        "人工客服幾點上班？",
        "什么时候可以转人工",
        "转人工要等多长时间？",
        "what are the opening hours to talk to someone?",
    ],
)
def test_a_question_about_their_hours_is_no_wish_for_a_person(text: str) -> None:
    assert not wants_person(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("my mail is anna@example.com", "anna@example.com"),
        ("anna.smith@x.com", "anna.smith@x.com"),
        ("Anna Smith, anna.smith@x.com", "anna.smith@x.com"),
        ("You can reach me at a@b.co, thanks!", "a@b.co"),
        ("我的邮箱是li@x.cn，谢谢", "li@x.cn"),
        ("請發郵件到 li@x.com", "li@x.com"),
        ("ａｎｎａ＠ｘ．ｃｏｍ", "anna@x.com"),
    ],
)
def test_an_address_with_nothing_but_courtesy_is_where_to_write(text: str, address: str) -> None:
    assert address_left(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "my order under anna@x.com is late, where is it?",
        "can you change my e-mail to a@b.co",
        "how do I return an item? anna@x.com",
        "我的订单li@x.cn怎么还没到",
        "LO12345678 anna@x.com",
        "no address @ all",
    ],
)
def test_a_message_that_says_more_is_no_address(text: str) -> None:
    assert address_left(text) is None


async def ask(text: str, *, urgency: Urgency = "normal", **more: object) -> Reply:
    retriever = FixedRetriever({"return": [hit(WINDOW, 0.95)]})
    reader = FixedReader(Reading(urgency=urgency))
    responder = Responder(retriever, ScriptedGenerator(), Settings(), reader=reader)
    return await responder.respond(Question(text, "en", **more), Shown())  # type: ignore[arg-type]


async def test_a_question_beside_an_address_is_answered_while_one_waits() -> None:
    reply = await ask("how can I return the lamp I bought as anna@x.com?", mode="waiting")
    assert (reply.decision, reply.text) == ("verbatim", WINDOW.text)


async def test_no_answer_to_what_cannot_wait_brings_a_person_at_once() -> None:
    reply = await ask("why is my parcel frozen in customs, I fly tomorrow", urgency="high")
    assert reply.decision == "handoff"
    assert reply.reason.startswith("no answer to an urgent message; nothing in the knowledge base")


@pytest.mark.parametrize(("urgency", "mode"), [("normal", "bot"), ("low", "bot"), ("high", "waiting")])
async def test_no_answer_to_anything_else_offers_one(urgency: Urgency, mode: str) -> None:
    assert (await ask("why is my parcel frozen in customs", urgency=urgency, mode=mode)).decision == "abstained"


async def test_the_topic_that_an_answer_rests_on_is_noted_as_the_intent() -> None:
    answered, unanswered = await ask("can I return it by monday", urgency="high"), await ask("how is the weather")
    assert answered.reading == Reading(urgency="high", intent="returns")
    assert unanswered.reading == Reading()
