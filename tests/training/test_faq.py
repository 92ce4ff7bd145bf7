from __future__ import annotations

from pathlib import Path

import pytest

from assistant.errors import DatasetError
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY
from training.faq import ANSWER_CHARACTERS, faq_rows

pytestmark = pytest.mark.unit
ENTRIES = load_knowledge(REPOSITORY / "knowledge_base").entries


def test_every_answer_is_copied_from_a_passage_that_is_shown() -> None:
    rows = faq_rows(ENTRIES, languages=None)
    turns = [turn for row in rows for turn in zip(row["messages"][::2], row["messages"][1::2], strict=True)]
    assert len(turns) == 2 * len(ENTRIES)
    for asked, answered in turns:
        assert (asked["role"], answered["role"]) == ("user", "assistant")
        assert answered["content"] in asked["content"]
        assert answered["content"].strip()


def test_conversations_have_one_to_three_turns() -> None:
    lengths = {len(row["messages"]) for row in faq_rows(ENTRIES, languages=None)}
    assert lengths == {2, 4, 6}


def test_answers_are_short_where_their_first_sentence_is() -> None:
    rows = faq_rows(ENTRIES, languages=["en"])
    lengths = [len(m["content"]) for row in rows for m in row["messages"] if m["role"] == "assistant"]
    assert sum(length <= ANSWER_CHARACTERS for length in lengths) > 0.9 * len(lengths)


def test_only_the_models_languages_are_learnt() -> None:
    rows = faq_rows(ENTRIES, languages=("zh",))
    asked = [m["content"] for row in rows for m in row["messages"] if m["role"] == "user"]
    assert len(asked) == len(ENTRIES)
    assert not any("Which payment methods" in text for text in asked)
    with pytest.raises(DatasetError, match="in fr"):
        faq_rows(ENTRIES, languages=("fr",))


def test_the_same_seed_gives_the_same_rows() -> None:
    assert faq_rows(ENTRIES, languages=None, seed=3) == faq_rows(ENTRIES, languages=None, seed=3)
    assert faq_rows(ENTRIES, languages=None, seed=3) != faq_rows(ENTRIES, languages=None, seed=4)


def test_an_entry_alone_in_its_topic_is_shown_alone(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "a.md").write_text("# A\n\n## Is it open? {#open}\n\nYes, daily.\n", encoding="utf-8")
    [row, *_] = faq_rows(load_knowledge(tmp_path).entries, languages=None)
    assert row["messages"][0]["content"] == "Is it open?\nYes, daily.\n\nQuestion: Is it open?"
