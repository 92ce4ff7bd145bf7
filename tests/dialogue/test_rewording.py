"""Other layouts of curated answers: each differs, none says anything else."""

from __future__ import annotations

import re

import pytest

from assistant.dialogue.extract import Composition
from assistant.dialogue.grounding import sentences
from assistant.dialogue.rewording import reworded
from assistant.retrieval.sources import load_knowledge
from assistant.values import Hit, Passage
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.unit

CURATED = [
    Passage(entry.id, entry.question, entry.answer, entry.lang, entry.source, entry.source_start, entry.source_end)
    for entry in load_knowledge(REPOSITORY / "knowledge_base").entries
]
STEPS = Passage(
    "steps",
    "How do I return it?",
    "It takes a minute:\n\n1. Log in.\n2. Choose Return.\n\nThe label costs 3 EUR. It is valid for 14 days.",
    "en",
    "en/returns.md",
    10,
    10 + 90,
)


def told(passage: Passage, attempt: int, question: str = "", *, may_shorten: bool = True) -> Composition:
    answer = Composition()
    layout = reworded(passage, question or passage.title, attempt=attempt, may_shorten=may_shorten)
    answer.tell_again(Hit(passage, 0.9, 0.9, "question"), layout)
    return answer


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_curated_answer_has_at_least_two_wordings_with_all_facts_or_shortened(language: str) -> None:
    entries = [entry for entry in CURATED if entry.lang == language]
    assert len(entries) > 50
    for entry in entries:
        if len(sentences(entry.text)) > 1:
            assert len({told(entry, attempt).text for attempt in (1, 2, 3)}) >= 2, entry.entry_id
        for attempt in (1, 2, 3):
            complete = told(entry, attempt, may_shorten=False)
            assert all(span.text in complete.text for span in sentences(entry.text)), entry.entry_id
            for citation in complete.citations:
                assert complete.text[citation.text_start : citation.text_end] == citation.quote


def test_what_the_question_is_about_comes_first_and_steps_keep_their_order() -> None:
    first = told(STEPS, 1, "what does the label cost")
    assert first.text.startswith("The label costs 3 EUR. It is valid for 14 days.")
    assert re.findall(r"^\d", first.text, re.M) == ["1", "2"]
    assert "It takes a minute:\n\n1. Log in.\n2. Choose Return." in first.text


def test_a_sentence_that_refers_to_another_stays_behind_it() -> None:
    assert told(STEPS, 2, "how long is the label valid").text == "The label costs 3 EUR. It is valid for 14 days."


def test_prose_becomes_points() -> None:
    prose = Passage("p", "Lamps", "Lamps are of oak. Bulbs are included. They last long.", "en", "en/a.md", 0, 53)
    assert told(prose, 1).text == "- Lamps are of oak.\n- Bulbs are included. They last long."
