"""Answers from the passages' own sentences, and what each part of them rests on."""

from __future__ import annotations

import pytest

from assistant.dialogue.extract import MAX_CHARACTERS, Composition, excerpt
from assistant.values import Hit, Passage

pytestmark = pytest.mark.unit

MANUAL = (
    "Our lamps are made in Italy. They come in three sizes. The cable is two metres long and can be replaced. "
    "A bulb with E27 socket and at most 60 watts fits. Dust the shade once a month. Never use water."
)


def document(text: str = MANUAL) -> Passage:
    return Passage("manual", "Lamps › Care", text, "en", "en/documents/lamps.md", 50, 50 + len(text), kind="document")


def faq(entry_id: str, text: str) -> Passage:
    return Passage(entry_id, f"About {entry_id}", text, "en", "en/faq.md", 10, 10 + len(text))


def test_a_curated_answer_is_taken_whole() -> None:
    passage = faq("returns", "Thirty days. Shoes sixty.")
    assert excerpt(passage, "shoes?").text == passage.text


def test_of_a_document_the_sentences_are_taken_that_the_question_is_about() -> None:
    span = excerpt(document(), "which bulb fits, how many watts?")
    assert span.text == "A bulb with E27 socket and at most 60 watts fits."
    assert MANUAL[span.start : span.end] == span.text


def test_an_excerpt_has_a_limit() -> None:
    sentence = "The lamp has a bulb of many watts and " + "very " * 40 + "long cable. "
    assert len(excerpt(document(sentence * 5), "bulb watts cable").text) <= MAX_CHARACTERS


def test_each_part_is_cited_where_it_stands() -> None:
    answer = Composition()
    answer.say("Here is what I found:")
    for passage in (faq("returns", "Thirty days."), faq("refunds", "- Five days\n- by card")):
        answer.tell(Hit(passage, 0.9, 0.9, "answer"), "how long", heading=True)
    assert answer.text == (
        "Here is what I found:\n\n**About returns**\nThirty days.\n\n**About refunds**\n\n- Five days\n- by card"
    )
    for citation in answer.citations:
        assert answer.text[citation.text_start : citation.text_end] == citation.quote
        assert citation.source_start == 10
