"""A message with several questions is taken apart; one with a single question stays as it is."""

from __future__ import annotations

import pytest

from assistant.dialogue.parts import Message, query_for, take_apart

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("How long can I return shoes and who pays for the shipping?",
         ["How long can I return shoes", "who pays for the shipping?"]),
        ("Do you deliver to Austria, and what does it cost?", ["Do you deliver to Austria", "what does it cost?"]),
        ("hi there, quick one: do you ship to Austria and how much is it? thanks",
         ["hi there, quick one: do you ship to Austria", "how much is it?"]),
        ("Is there a warranty? How do I claim it?", ["Is there a warranty?", "How do I claim it?"]),
        ("退货要多久，运费谁出？", ["退货要多久", "运费谁出？"]),
        ("能开发票吗？另外可以用支付宝吗", ["能开发票吗？", "可以用支付宝吗"]),
        ("请问怎么退货，还有退款多久到账？", ["请问怎么退货", "退款多久到账？"]),
    ],
)  # fmt: skip
def test_several_questions_are_told_apart(text: str, questions: list[str]) -> None:
    assert list(take_apart(text).questions) == questions


@pytest.mark.parametrize(
    "text",
    [
        "where is my order",
        "My lamp arrived broken. What do I do?",
        "can I pay with card and voucher together?",
        "if my order is late, can I cancel?",
        "我买的灯坏了，怎么办",
        "我上周买了椅子，还没到，怎么查物流呢？",
        "红色和蓝色的椅子有什么区别？",
    ],
)
def test_one_question_stays_whole(text: str) -> None:
    message = take_apart(text)
    assert message.questions == (text,)
    assert not message.is_compound


def test_what_is_said_around_goes_with_each_question() -> None:
    message = take_apart("I bought a sofa with a gift card. How do I return it? What is your phone number?")
    returning, phone = message.questions
    assert query_for(returning, message) == "I bought a sofa with a gift card. How do I return it?"
    assert query_for(phone, message) == "I bought a sofa with a gift card. What is your phone number?"
    assert query_for("B?", Message(("A?", "B?"))) == "B?"


def test_greetings_are_no_part() -> None:
    assert take_apart("Hello! How do I return shoes? When do I get my money? Thank you!").questions == (
        "How do I return shoes?",
        "When do I get my money?",
    )


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        (
            "I'd like to give back the wardrobe, but I have no packaging left. What will that cost?",
            ["I'd like to give back the wardrobe", "I have no packaging left."],
        ),
        ("大衣柜想退，可是包装早就扔了，一共要扣多少钱？", ["大衣柜想退", "可是包装早就扔了", "一共要扣多少钱"]),
        ("How do I return a lamp?", []),
        ("Hello! How do I return a lamp?", []),
    ],
)
def test_a_message_with_one_question_is_told_by_clause(text: str, clauses: list[str]) -> None:
    assert list(take_apart(text).clauses) == clauses


def test_two_questions_have_no_clauses() -> None:
    assert take_apart("How do I return shoes? When do I get my money?").clauses == ()


@pytest.mark.parametrize(
    "text",
    [
        "I am tall and would like to cancel my order, how does that work?",
        "Can I cancel the order I placed today? And how do I do that?",
        "订单能取消吗？怎么操作呢？",
    ],
)
def test_only_how_is_no_question_of_its_own(text: str) -> None:
    assert not take_apart(text).is_compound
