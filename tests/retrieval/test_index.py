"""Vectors of entries, and what a search among them returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assistant.retrieval.embedding import Encoders
from assistant.retrieval.index import FIRST_VECTORS, Row, VectorTable, build_index
from assistant.retrieval.sources import Knowledge
from tests.retrieval.hashing import HashingEncoder

pytestmark = pytest.mark.unit


def test_english_entries_are_embedded_by_both_encoders_and_chinese_ones_by_one(
    knowledge: Knowledge, encoders: Encoders
) -> None:
    index = build_index(knowledge, encoders)
    num_texts = {
        lang: sum(2 + len(entry.wordings) for entry in knowledge.entries if entry.lang == lang) for lang in ("en", "zh")
    }
    assert len(index.english) == num_texts["en"] == 7
    assert len(index.multilingual) == num_texts["en"] + num_texts["zh"] == 14


def test_each_field_is_found_by_its_own_text(knowledge: Knowledge, encoders: Encoders) -> None:
    index = build_index(knowledge, encoders)
    entry = knowledge.entries[0]
    for field, text in (("question", entry.question), ("wording", entry.wordings[0]), ("answer", entry.answer)):
        best = index.english.search(encoders.english.encode([text]), "en", other=False, limit=1)[0]
        assert (index.entries[best.entry].id, best.field) == (entry.id, field)
        assert best.cosine == pytest.approx(1, abs=1e-5)


def test_a_search_stays_within_the_language_or_outside_it(knowledge: Knowledge, encoders: Encoders) -> None:
    index = build_index(knowledge, encoders)
    vector = encoders.multilingual.encode(["退货"])
    for language, other, expected in (("zh", False, {"zh"}), ("zh", True, {"en"}), ("fr", True, {"en", "zh"})):
        matches = index.multilingual.search(vector, language, other=other, limit=10)
        assert {index.entries[match.entry].lang for match in matches} == expected
    assert index.multilingual.search(vector, "fr", other=False, limit=10) == []


def test_a_search_goes_on_until_it_has_enough_different_entries() -> None:
    num_wordings = 3 * FIRST_VECTORS
    rows = [Row(0, "wording", "many")] * num_wordings + [Row(1, "question", "one")]
    vectors = np.array([[1.0, 0.0]] * num_wordings + [[0.6, 0.8]], dtype=np.float32)
    table = VectorTable.of(rows, ["en"] * len(rows), vectors)
    matches = table.search(np.array([[1.0, 0.0]], dtype=np.float32), "en", other=False, limit=2)
    assert {match.entry for match in matches} == {0, 1}


def test_progress_counts_up_to_all_texts(knowledge: Knowledge, encoders: Encoders) -> None:
    seen: list[tuple[int, int]] = []
    build_index(knowledge, encoders, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (21, 21)


def test_knowledge_in_one_language_only_can_be_indexed(knowledge: Knowledge) -> None:
    chinese = replace(knowledge, entries=tuple(entry for entry in knowledge.entries if entry.lang == "zh"))
    encoders = Encoders(HashingEncoder("a"), HashingEncoder("b"))
    index = build_index(chinese, encoders)
    assert len(index.english) == 0
    assert index.english.search(encoders.english.encode(["x"]), "en", other=False, limit=5) == []
