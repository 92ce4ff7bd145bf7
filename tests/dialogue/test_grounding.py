from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.dialogue.facts import LIST_MARK
from assistant.dialogue.grounding import Grounds, Span, complete, sentences
from assistant.retrieval.sources import load_knowledge
from assistant.values import Passage
from tests.conftest import REPOSITORY
from tests.dialogue.scripted import STEPS_ZH, WINDOW, passage
from tests.evaluation.mutations import MUTATIONS, mutated

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


TERMS = passage(
    "terms",
    "How do I return an item?",
    "You can return an item within 14 days of delivery. Shipping costs 3.90 EUR. Vouchers are worth up to 1,000 EUR. "
    "We are there Mon-Fri 9:00-18:00, Sat 10:00-16:00. Refunds take 5-8 working days.",
)
TERMS_ZH = passage(
    "terms",
    "如何退货？",
    "签收后 14 天内可以退货。退货运费由我们承担。普通运费为 12 元。客服周一至周五 9:00–18:00 在线。"
    "活动到三月十五号为止。",
    "zh",
)


def is_supported(sentence: str, said: str = "") -> bool:
    grounds = Grounds([TERMS, TERMS_ZH], [said] if said else [])
    return grounds.judge(Span(sentence, 0, len(sentence))).supported


@pytest.mark.parametrize(
    "sentence",
    [
        "You can return an item within 14 days of delivery.",
        "You can return an item within fourteen days of delivery.",
        "Shipping costs EUR 3.9.",
        "Shipping costs €3.90.",
        "Vouchers are worth up to 1000 EUR.",
        "Vouchers are worth up to a thousand euros.",
        "We are there Monday to Friday 9 am to 6 pm.",
        "Refunds take between 5 and 8 working days.",
        "签收后十四天内可以退货。",
        "签收后１４天内可以退货。",
        "普通运费为十二元。",
        "客服周一到周五9点至18点在线。",
        "活动到 3 月 15 日为止。",
    ],
)
def test_a_fact_counts_however_it_is_spelled(sentence: str) -> None:
    assert is_supported(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "You can return an item within 14 weeks of delivery.",
        "You can return an item within 14 years of delivery.",
        "You can return an item within forty days of delivery.",
        "You can return an item within fifty days of delivery.",
        "You can return an item within a hundred days of delivery.",
        "You can return 14 items of a delivery.",
        "Shipping costs $3.90.",
        "Shipping costs 3.90 dollars.",
        "Refunds take 5 working days.",
        "Refunds take 8 days.",
        "We are there Sat 9:00-18:00.",
        "We are there Mon-Sun 9:00-18:00.",
        "签收后14周内可以退货。",
        "签收后14个月内可以退货。",
        "签收后四十天内可以退货。",
        "普通运费为12欧元。",
        "客服周一至周日9:00–18:00在线。",
        "活动到四月十五号为止。",
    ],
)
def test_a_fact_is_another_with_another_number_unit_currency_or_day(sentence: str) -> None:
    assert not is_supported(sentence)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Can I return within 60 days?", "You can return an item within 60 days."),
        ("能退60天吗", "60天内可以退货。"),
        ("Is shipping 1 EUR?", "Shipping costs 1 EUR."),
        ("Can I return it until 3 March?", "You can return an item until 3 March."),
        ("到3月3日还能退吗", "3月3日前可以退货。"),
        ("Is http://lamps.example/pay your page?", "Return an item at http://lamps.example/pay within delivery."),
    ],
)
def test_a_question_does_not_become_the_answer(said: str, sentence: str) -> None:
    assert not is_supported(sentence, said)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("my order LO12345678, can it go back?", "You can return LO12345678 within 14 days of delivery."),
        ("I ordered on 3 March, may I?", "You ordered on 3 March and can return an item within 14 days of delivery."),
        ("我3月3日下单的，能退吗", "您3月3日下单的商品签收后14天内可以退货。"),
        ("订单号 4711 能退吗", "订单号 4711 签收后14天内可以退货。"),
    ],
)
def test_what_the_customer_called_their_order_by_may_be_repeated(said: str, sentence: str) -> None:
    assert is_supported(sentence, said)
    assert not is_supported(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "退货运费由顺丰承担。",
        "退货运费由圆通承担。",
        "签收后 14 天内可以找王建国退货。",
        "签收后 14 天内可以寄到哈尔滨退货。",
        "You can return an item with Art within 14 days of delivery.",
    ],
)
def test_a_name_that_nobody_told_is_not_sent(sentence: str) -> None:
    started = passage("start", "When do we start?", "We start at once.")
    grounds = Grounds([TERMS, TERMS_ZH, started])
    assert not grounds.judge(Span(sentence, 0, len(sentence))).supported


def test_a_denial_alone_needs_a_passage_that_denies() -> None:
    assert not judge_by("No.", passage("a", "Can I?", "You can return it for 30 days."))
    assert judge_by("No.", passage("a", "Can I?", "You cannot return it."))


def test_a_clause_denies_what_its_own_clause_in_the_passage_denies() -> None:
    kept = passage("a", "Washing", "Cushions can be washed, but rugs cannot be washed. 靠垫可以水洗，地毯不能水洗。")
    assert judge_by("Cushions can be washed.", kept)
    assert judge_by("地毯不能水洗。", kept)
    assert not judge_by("Rugs can be washed, and lamps cannot.", kept)
    assert not judge_by("靠垫不能水洗。", kept)


def judge_by(text: str, source: Passage) -> bool:
    return Grounds([source]).judge(Span(text, 0, len(text))).supported


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


# -- on the demo shop's own answers

CURATED = [
    Passage(entry.id, entry.question, entry.answer, entry.lang, entry.source, entry.source_start, entry.source_end)
    for entry in load_knowledge(REPOSITORY / "knowledge_base").entries
]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_curated_sentence_is_supported_by_its_own_entry(language: str) -> None:
    grounds = [(told, Grounds([told])) for told in CURATED if told.lang == language]
    judged = [(span.text, each.judge(span)) for told, each in grounds for span in sentences(told.text)]
    assert len(judged) > 300
    assert [text for text, verdict in judged if not verdict.supported] == []


@pytest.mark.parametrize("kind", MUTATIONS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_mistake_in_a_curated_sentence_is_caught(language: str, kind: str) -> None:
    entries = {f"{told.title}\n{told.text}": Grounds([told]) for told in CURATED if told.lang == language}
    told = [
        (span.text, language, f"{entry.title}\n{entry.text}")
        for entry in CURATED
        if entry.lang == language
        for span in sentences(entry.text)
        if not LIST_MARK.match(span.text)  # which number a step has is no fact
    ]
    wrong = list(mutated(told, kind))[::2]
    caught = sum(not entries[source].judge(Span(sentence, 0, len(sentence))).supported for sentence, source in wrong)
    assert len(wrong) >= 20
    assert caught / len(wrong) >= 0.9
