from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.conversation.events import ConversationId, Event, Message, PromptPassage
from assistant.dialogue.context import exchanges, fit, is_follow_up, reminded, standalone
from assistant.dialogue.prompt import Exchange

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("earlier", "question", "found"),
    [
        (["How long can I return an item?"], "and for shoes?", "How long can I return an item? for shoes?"),
        (["How long can I return an item?"], "what about furniture", "How long can I return an item? furniture"),
        (["如何退货？"], "那运费呢？", "如何退货？ 运费"),
        (["如何退货？", "谢谢"], "那家具呢", "如何退货？ 家具"),
        (
            ["Do you ship to Austria?", "thanks!"],
            "how long does it take?",
            "Do you ship to Austria? how long does it take?",
        ),
        (["How long is the warranty?", "and for lamps?"], "and for shoes?", "How long is the warranty? for shoes?"),
        (["Do you put shelves together?"], "how much?", "Do you put shelves together? how much?"),
        (["书架你们管装吗"], "多少钱", "书架你们管装吗 多少钱"),
        (["How long can I return a lamp?"], "no, I meant shoes", "How long can I return a lamp? shoes"),
        (["灯可以退多久？"], "不是，我问的是鞋子", "灯可以退多久？ 鞋子"),
        (["How long can I return a lamp?"], "No, I mean when do I get my money back?", "when do I get my money back?"),
        (
            ["Do you ship it?"],
            "Sorry I meant how do I pay by invoice at the checkout",
            "how do I pay by invoice at the checkout",
        ),
        (["How do I cancel?"], "oops no not the order, the newsletter", "How do I cancel? the newsletter"),
        (["怎么退货？"], "不对，我想问的是怎么查询物流信息", "怎么查询物流信息"),
    ],
)
def test_a_follow_up_takes_the_last_question_with_it(earlier: list[str], question: str, found: str) -> None:
    assert standalone(question, earlier) == found


@pytest.mark.parametrize(
    "question",
    [
        "How do I change my delivery address?",
        "运费是多少？",
        "订单多久能发货呢，我已经等了一个星期了",
        "Where is my parcel",
        "Is it possible to pay by invoice?",
        "What is this shop called?",
        "Can I return the sofa that I bought?",
        "Which one of the lamps is the brightest?",
        "How long does it take to get a refund?",
        "Wrong item delivered",
        "No problem, how do I pay?",
        "Not happy with the colour, where can I complain?",
    ],
)
def test_a_question_of_its_own_stays_as_it_is(question: str) -> None:
    assert not is_follow_up(question)
    assert standalone(question, ["How long can I return an item?"]) == question


def test_a_follow_up_to_nothing_stays_as_it_is() -> None:
    assert standalone("and for shoes?", []) == "and for shoes?"
    assert standalone("and for shoes?", ["hello", "thanks"]) == "and for shoes?"


def event(position: int, author: str, text: str, passages: tuple[PromptPassage, ...] = ()) -> Event:
    message = Message(f"m_{position}", text, text, "en", passages=passages)
    return Event(ConversationId("c"), position, position, "", author, message)  # type: ignore[arg-type]


def test_history_keeps_each_turn_as_the_model_saw_it() -> None:
    shown = (PromptPassage("return-window", "How long?", "30 days."),)
    told = [
        event(1, "customer", "How long can I return an item?"),
        event(2, "assistant", "30 days.", shown),
        event(3, "customer", "and for shoes?"),
        event(4, "agent", "60 days."),
        event(5, "agent", "Try them indoors."),
        event(6, "customer", "Not answered yet"),
    ]
    assert exchanges(told) == [
        Exchange("How long can I return an item?", "30 days.", shown),
        Exchange("How long can I return an item? for shoes?", "60 days.\nTry them indoors."),
    ]


def test_over_budget_old_turns_go_in_one_block_and_the_beginning_then_rests() -> None:
    turns = [Exchange(str(number), "") for number in range(30)]
    starts = [fit(turns[:count], budget=10, cost=lambda _: 1)[0].question for count in range(1, 31)]
    assert starts[:10] == ["0"] * 10
    assert len(set(starts)) == 5, "the beginning moves once every six turns, not every turn"
    assert all(len(fit(turns[:count], budget=10, cost=lambda _: 1)) <= 10 for count in range(1, 31))


def test_a_turn_larger_than_the_budget_is_left_out() -> None:
    assert fit([Exchange("a", "b")], budget=10, cost=lambda _: 11) == []


def test_another_wording_takes_the_place_of_the_first() -> None:
    asked, first = event(1, "customer", "How long?"), event(2, "assistant", "30 days.")
    again = event(3, "assistant", "A month, that is 30 days.")
    assert isinstance(again.payload, Message)
    reworded = replace(again, payload=replace(again.payload, reply_to="m_2"))
    assert exchanges([asked, first, reworded]) == [Exchange("How long?", "A month, that is 30 days.")]


def test_a_short_question_is_reminded_of_the_one_before() -> None:
    earlier = ["Is there a birthday voucher?", "thanks"]
    assert reminded("until when is a code valid", earlier) == "Is there a birthday voucher? until when is a code valid"
    assert reminded("生日券怎么领", ["有没有生日券"]) == "有没有生日券 生日券怎么领"


def test_a_long_question_and_a_first_one_stand_by_themselves() -> None:
    assert reminded("until when is a code valid", []) is None
    assert reminded("until when is a code valid", ["hello"]) is None
    assert reminded("word " * 13, ["Is there a birthday voucher?"]) is None
