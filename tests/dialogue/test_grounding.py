from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.dialogue.grounding import Grounds, Span, complete, sentences
from tests.dialogue.scripted import STEPS_ZH, WINDOW, passage

pytestmark = pytest.mark.unit


def judge(text: str, said: list[str] | None = None):
    return Grounds([WINDOW], said or []).judge(Span(text, 0, len(text)))


@pytest.mark.parametrize(
    "sentence",
    [
        "You can return most items for 30 days from delivery.",
        "Shoes can be returned for 60 days.",
        "Shoes and clothing can be returned for sixty days.",
        "Furniture cannot be returned after 14 days.",
        "Sure, I can help with that!",
        "Yes, most items can be returned for 30 days from delivery.",
    ],
)
def test_what_a_passage_says_may_be_sent(sentence: str) -> None:
    assert judge(sentence).supported


@pytest.mark.parametrize(
    "sentence",
    [
        "Shoes can be returned for 90 days.",
        "Furniture can be returned for 60 days after delivery.",
        "Shoes can not be returned for 60 days.",
        "Call 0800 123 to return most items.",
        "See https://example.com/returns for items from delivery.",
        "Items from delivery go to Amazon within 30 days.",
        "Our founders love hiking mountains together.",
        "Returns cost EUR 4.90 for most items.",
        "Ladders and clothing can be returned for 60 days.",
        'The answer to this question is "most items from delivery".',
        "Yes, we fly furniture to the moon.",
    ],
)
def test_what_no_passage_says_is_not_sent(sentence: str) -> None:
    assert not judge(sentence).supported


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("We refund orders within 5 days of delivery.", "I have refunded orders within 5 days of delivery."),
        ("You can cancel your order in your account.", "I will cancel your order in your account."),
        ("您可以在账户中取消订单。", "我已为您在账户中取消订单。"),
        ("您可以在账户中取消订单。", "已为您取消账户中的订单。"),
    ],
)
def test_nothing_is_claimed_to_be_done_that_only_an_action_may_tell(text: str, sentence: str) -> None:
    grounds = Grounds([passage("orders", "Orders and refunds 订单", text)])
    assert grounds.judge(Span(text, 0, len(text))).supported
    assert not grounds.judge(Span(sentence, 0, len(sentence))).supported


RATES = passage(
    "window",
    "How long can I return an item?",
    "You have 30 days from delivery for most items, such as lamps. Shoes and clothing can be returned for 60 days, "
    "furniture for 14 days. Delivery to Austria costs EUR 7.90, to other EU countries EUR 12.90.",
)


@pytest.mark.parametrize(
    ("sentence", "supported"),
    [
        ("Shoes and clothing can be returned for 14 days.", False),
        ("Furniture can be returned for 60 days.", False),
        ("Furniture can be returned for 14 days.", True),
        ("You can return shoes for 60 days, and furniture for 14 days.", True),
        ("Delivery to Austria costs EUR 12.90.", False),
        ("Delivery to other EU countries costs EUR 12.90.", True),
        ("The answer is: 14.", False),
        ("You have 30 days from delivery for most items, and you can add it in the basket.", False),
    ],
)
def test_a_number_belongs_to_its_own_words(sentence: str, supported: bool) -> None:
    assert Grounds([RATES]).judge(Span(sentence, 0, len(sentence))).supported is supported


def test_repeating_the_question_is_no_answer() -> None:
    verdict = judge("You want to return an item for how long?", ["how long can I return an item"])
    assert verdict.supported
    assert verdict.citation is None


def test_a_number_the_customer_gave_may_be_repeated() -> None:
    text = "Your order 4711 can be returned for 30 days from delivery."
    assert not judge(text).supported
    assert judge(text, ["can I return order 4711?"]).supported


def test_a_citation_quotes_the_source_to_the_letter() -> None:
    citation = judge("Shoes can be returned for 60 days.").citation
    assert citation is not None
    assert citation.quote == "Shoes and clothing can be returned for 60 days."
    start = citation.source_start - WINDOW.source_start
    assert WINDOW.text[start : start + len(citation.quote)] == citation.quote
    assert citation.source_end - citation.source_start == len(citation.quote)


def test_chinese_is_judged_like_english() -> None:
    grounds = Grounds([STEPS_ZH])
    assert grounds.judge(Span("请先登录账户。", 0, 7)).supported
    assert not grounds.judge(Span("请在 30 天内登录账户。", 0, 12)).supported
    assert not grounds.judge(Span("我们的创始人喜欢爬山。", 0, 11)).supported


def test_sentences_do_not_end_in_prices_abbreviations_or_list_numbers() -> None:
    text = "It costs EUR 4.90, e.g. for a lamp. Furniture costs 29. 大件另计。请联系客服！\n1. Log in.\n2. Done"
    assert [span.text for span in sentences(text)] == [
        "It costs EUR 4.90, e.g. for a lamp.",
        "Furniture costs 29.",
        "大件另计。",
        "请联系客服！",
        "1. Log in.",
        "2. Done",
    ]


def test_only_whole_sentences_count_as_complete() -> None:
    assert complete("It costs EUR 4.") == 0
    assert complete("It costs EUR 4.90. And") == len("It costs EUR 4.90.")
    assert complete("大件另计。请") == len("大件另计。")
    assert complete("no end yet") == 0


@given(st.text(alphabet="ab 1.?!。！\n", max_size=60))
def test_sentences_cover_the_text_in_order(text: str) -> None:
    spans = sentences(text)
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert "".join("".join(span.text.split()) for span in spans) == "".join(text.split())
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))
