"""Terms of English and Chinese texts, and how BM25 ranks by them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.retrieval.lexical import LexicalIndex, fold, terms

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("returning items", "Return ITEM"),
        ("I want to return it", "returned"),
        ("the policies", "policy"),
        ("退貨運費", "退货运费"),
        ("ＡＰＰ　登录", "app登录"),
        ("MasterServer", "master server"),
        ("怎么退货？", "如何退货"),
        ("the shop's hours", "shop hours"),
    ],
)
def test_forms_of_the_same_words_share_their_terms(one: str, other: str) -> None:
    assert set(terms(other)) <= set(terms(one))


def test_chinese_terms_are_bigrams_and_words_of_other_lengths() -> None:
    assert {"退货", "货运", "运费"} <= set(terms("退货运费"))
    assert "积分" in terms("会员积分")
    assert terms("退") == ["退"]


def test_latin_words_and_numbers_in_chinese_text_are_terms() -> None:
    assert {"iphone", "15", "订单"} <= set(terms("我的iPhone 15订单"))


def test_words_with_accents_stay_whole() -> None:
    assert terms("Où est ma commande") == ["où", "est", "ma", "commande"]


def test_words_that_say_nothing_are_no_terms() -> None:
    assert terms("the of and") == []
    assert terms("我可以吗") == []


def test_folding_makes_traditional_full_width_text_simplified_and_half_width() -> None:
    assert fold("１２３　退貨ＡＢＣ") == "123 退货abc"


def test_the_text_that_shares_rarer_words_is_ranked_first() -> None:
    index = LexicalIndex(["return an item", "return a lamp", "pay by card", "return shoes"])
    scores = index.scores("how do I return the lamp")
    assert scores.argmax() == 1
    assert scores[2] == 0
    assert scores[0] > 0


def test_what_is_attainable_bounds_every_score_and_counts_unknown_words() -> None:
    texts = ["return an item", "return " * 50, "pay by card"]
    index = LexicalIndex(texts)
    assert max(index.scores("return item")) <= index.attainable("return item")
    assert index.attainable("return item gzunk") > index.attainable("return item")
    assert index.attainable("") == 0


@given(st.lists(st.text(max_size=30), max_size=5), st.text(max_size=40))
def test_any_texts_can_be_indexed_and_asked(texts: list[str], query: str) -> None:
    index = LexicalIndex(texts)
    scores = index.scores(query)
    assert scores.shape == (len(texts),)
    assert all(0 <= score <= index.attainable(query) + 1e-3 for score in scores)
