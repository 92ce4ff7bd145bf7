"""Misspelt words are put right by the knowledge base's own; everything else stays."""

from __future__ import annotations

import pytest

from assistant.retrieval.spelling import Speller

pytestmark = pytest.mark.unit
SPELLER = Speller(
    [
        "How do I return a lamp?",
        "Cancel an order",
        "Where can I download my invoice?",
        "delivery to Switzerland",
        "warranty",
    ]
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("how do i retrun a lampp", "how do i return a lamp"),
        ("kancel my ordr", "cancel my order"),
        ("donwload the invioce!", "download the invoice!"),
        ("shiping cost to swizerland", "shiping cost to switzerland"),
        ("wat is the waranty", "wat is the warranty"),
    ],
)
def test_a_misspelt_word_becomes_the_one_the_entries_use(written: str, meant: str) -> None:
    assert SPELLER.correct(written) == meant


@pytest.mark.parametrize(
    "text", ["", "send it by mail", "I love Ankara", "LO48213377", "怎么退货 lamp", "mending a lump", "IKEA"]
)
def test_words_of_the_dictionary_names_and_codes_stay(text: str) -> None:
    assert SPELLER.correct(text) == text


def test_without_a_vocabulary_nothing_changes() -> None:
    assert Speller([]).correct("retrun") == "retrun"
