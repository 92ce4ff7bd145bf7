"""No message, however it is made, keeps a core busy: what reads customers' words is linear in their length.

The texts repeat what the expressions themselves repeat, and end in what makes them fail at last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

import pytest

from assistant.actions import consent, slots
from assistant.actions.folding import bare, clean
from assistant.actions.wishes import Wishes, has_words
from assistant.config import ActionSettings, SlotSettings
from assistant.conversation.events import ConversationId, Event, Message
from assistant.dialogue.asking import asks, is_bare
from assistant.dialogue.context import exchanges, is_follow_up, new_part, reminded, standalone
from assistant.dialogue.correction import corrected
from assistant.dialogue.handoff import address_left, email_address, wants_person
from assistant.dialogue.markup import plain_html
from assistant.dialogue.mood import is_furious
from assistant.dialogue.parts import query_for, take_apart
from assistant.dialogue.smalltalk import pleasantry
from assistant.dialogue.words import content_words
from assistant.insight.concerns import bar, concern_of
from assistant.insight.dates import find_date
from assistant.insight.entities import EntityFinder
from assistant.insight.sentiment import sentiment_of
from assistant.insight.urgency import urgency_of
from assistant.language import detect, fold
from assistant.retrieval.focus import units_of
from assistant.retrieval.lexical import terms
from assistant.retrieval.pinyin import PinyinSpeller
from assistant.retrieval.spelling import Speller
from assistant.values import Reading

pytestmark = pytest.mark.unit

LENGTH = 8_000
BAR_S = 0.05
NUM_TRIES = 3

REPEATED = (
    *", 1@._-#'?！，呢是退　\n😀０é",
    *("1 ", "1-", "1,", "1.", "a.", "a@", "a@b.", "a-", "A1 ", "+1", "(1", "€1", "1€", "1:", "a'", "吗，", "退，"),
    *("and, ", "so, and, but, ", "please hello hi hey ", "and how ", ", how ", "or is ", "no, ", "no sorry oh "),
    *("not, ", "i meant ", "is it ", "不是，", "抱歉，", "我是", "还有，", "可以", "不太", "非常不", "失望", "请问"),
    *("talk to a ", "talk, when ", "want a ", "转人工几点", "跟客服", "ignore all ", "act as if you are a "),
    *("you are so ", "need for ", "in the next ", "from now on you ", "忽略所有", "不被", "tui huo ", "发piao"),
    *("order number ", "订单号", "my mail is ", "4111 1111 ", "1月1", "january 1 ", "上个周", "www.", "model "),
)
ENDS = ("", " x")
STARTS = ("", ", not ", "，不是", "退", "a@")
TEXTS = [
    *(f"{unit * LENGTH}"[: LENGTH - 1] + "\x00" for unit in REPEATED),
    *(start + unit * (LENGTH - 20) + end for unit in ".！ a" for start in STARTS for end in ENDS),
]

ORDER = SlotSettings(name="order", kind="order_number", ask={"en": "x"}, pattern=r"LO\d{8}", prefix="LO")
OTHERS = [SlotSettings(name=kind, kind=kind, ask={"en": "x"}) for kind in ("email", "phone", "date", "text")]
ACTION = ActionSettings(
    name="status",
    when={"en": ("where is my order",), "zh": ("我的订单在哪",)},
    call={"url": "http://shop.example/"},
    reply={"en": "x"},
)
TODAY = date(2026, 1, 1)
KNOWN = ["How do I return an item?", "如何退货和开发票？"]


def read_parts(text: str) -> None:
    message = take_apart(text)
    for question in message.questions:
        query_for(question, message)


def concern(text: str) -> None:
    concern_of(text, language="en", head=None)
    bar(text, "en")


READERS: dict[str, Callable[[str], object]] = {
    "asks": asks,
    "is_bare": is_bare,
    "take_apart": read_parts,
    "corrected": corrected,
    "is_follow_up": is_follow_up,
    "standalone": lambda text: standalone(text, [text]),
    "reminded": lambda text: reminded("how much?", [text]),
    "new_part": new_part,
    "wants_person": wants_person,
    "email_address": email_address,
    "address_left": address_left,
    "pleasantry": pleasantry,
    "is_furious": lambda text: is_furious(text, Reading()),
    "content_words": content_words,
    "plain_html": plain_html,
    "concern": concern,
    "sentiment_of": sentiment_of,
    "urgency_of": urgency_of,
    "entities": EntityFinder(["Oak Lamp", "model 1", "木光台灯"]).find,
    "detect": lambda text: detect(text, fallback="en"),
    "fold": fold,
    "slots": lambda text: slots.read([ORDER, *OTHERS], text, today=TODAY, asked="text"),
    "wishes": Wishes([ACTION]).find,
    "has_words": has_words,
    "is_yes": consent.is_yes,
    "is_no": consent.is_no,
    "cancels": consent.cancels,
    "consent.asks": consent.asks,
    "find_date": lambda text: find_date(text, today=TODAY),
    "bare": bare,
    "clean": clean,
    "terms": terms,
    "units_of": units_of,
    "speller": Speller(KNOWN).correct,
    "pinyin": PinyinSpeller(KNOWN).correct,
}


def seconds(read: Callable[[str], object], text: str) -> float:
    before = time.process_time()
    read(text)
    return time.process_time() - before


@pytest.mark.parametrize("name", READERS)
def test_the_longest_message_is_read_at_once(name: str) -> None:
    read = READERS[name]
    read("warm up: 你好吗？ where is it")  # what is loaded once is no message's fault
    slow = [text for text in TEXTS if seconds(read, text) > BAR_S]
    assert [text[:20] for text in slow if min(seconds(read, text) for _ in range(NUM_TRIES)) > BAR_S] == []


def test_a_long_conversation_of_long_messages_is_read_at_once() -> None:
    said = [Message(f"m_{number}", text, "", "en", client_msg_id="k") for number, text in enumerate(TEXTS)]
    events = [Event(ConversationId("c"), number, number, "t", "customer", one) for number, one in enumerate(said)]
    exchanges(events[:2])
    assert min(seconds(lambda _: exchanges(events), "") for _ in range(NUM_TRIES)) < 10 * BAR_S


def test_only_follow_ups_do_not_slow_a_conversation() -> None:
    said = [Message(f"m_{number}", "and that one?", "", "en", client_msg_id="k") for number in range(200)]
    events = [Event(ConversationId("c"), number, number, "t", "customer", one) for number, one in enumerate(said)]
    assert min(seconds(lambda _: exchanges(events), "") for _ in range(NUM_TRIES)) < BAR_S
