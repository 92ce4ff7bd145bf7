"""Which entries a question finds, in which language, and how sure the retriever is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from assistant.config import RetrievalSettings
from assistant.retrieval.calibration import CURVES, Curve, confidence
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.sources import Knowledge
from tests.retrieval.hashing import hashing_encoders

pytestmark = pytest.mark.unit
MakeRetriever = Callable[..., FaqRetriever]


def test_a_hit_carries_the_answer_as_it_stands_in_its_source(make_retriever: MakeRetriever) -> None:
    (hit, *_) = make_retriever().search("how do i return an item?", language="en")
    passage = hit.passage
    assert (passage.entry_id, passage.lang, passage.source) == ("return-item", "en", "en/returns.md")
    assert passage.title == "How do I return an item?"
    assert passage.text.startswith("Log in")
    assert passage.tags == ("returns", "steps")
    assert hit.field == "question"
    assert hit.score == pytest.approx(1, abs=1e-5)
    assert hit.confidence > 0.99


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
def test_an_empty_query_finds_nothing(make_retriever: MakeRetriever, query: str) -> None:
    assert make_retriever(floor=0).search(query, language="en") == []


def test_nothing_above_the_floor_is_no_hit(make_retriever: MakeRetriever) -> None:
    assert make_retriever().search("xyzzy plugh", language="en") == []
    assert make_retriever().search("明天天气怎么样", language="zh") == []


def test_the_best_field_counts_once_per_entry(make_retriever: MakeRetriever) -> None:
    hits = make_retriever(floor=0).search("How can I send something back?", language="en")
    ids = [hit.passage.entry_id for hit in hits]
    assert ids[0] == "return-item"
    assert hits[0].field == "wording"
    assert len(ids) == len(set(ids)) == 3


def test_hits_fall_in_confidence_and_stop_at_the_limit(make_retriever: MakeRetriever) -> None:
    retriever = make_retriever(floor=0, limit=2)
    hits = retriever.search("return", language="en")
    assert len(hits) == 2
    assert hits[0].confidence >= hits[1].confidence
    assert len(retriever.search("return", language="en", limit=1)) == 1
    assert len(retriever.search("return", language="en", limit=3)) == 3
    assert retriever.search("return", language="en", limit=0) == []


def test_a_question_is_answered_in_its_own_language_first(make_retriever: MakeRetriever) -> None:
    for query, language in (("如何退货？", "zh"), ("How do I return an item?", "en")):
        hits = make_retriever(floor=0).search(query, language=language)
        assert {hit.passage.lang for hit in hits} == {language}


def test_an_entry_of_another_language_is_found_where_the_own_has_none(make_retriever: MakeRetriever) -> None:
    (hit, *_) = make_retriever().search("能修台灯吗？", language="zh")
    assert (hit.passage.entry_id, hit.passage.lang) == ("repair", "en")
    (hit, *_) = make_retriever().search("Is there a shop?", language="en")
    assert (hit.passage.entry_id, hit.passage.lang) == ("shop", "zh")


def test_twins_never_come_together(make_retriever: MakeRetriever) -> None:
    retriever = make_retriever(floor=0)
    for query, language in (("return 退货", "de"), ("如何退货？", "zh"), ("return", "en")):
        ids = [hit.passage.entry_id for hit in retriever.search(query, language=language, limit=20)]
        assert len(ids) == len(set(ids))


def test_a_twin_in_the_query_s_language_takes_the_place_of_the_one_found(knowledge: Knowledge) -> None:
    # Only across languages does the query match; the Chinese entry is found, the English twin is shown.
    query = "the thing has to go"
    encoders = hashing_encoders({query: "如何退货？"})
    retriever = FaqRetriever(build_index(knowledge, encoders), encoders, RetrievalSettings())
    (hit, *_) = retriever.search(query, language="en")
    assert (hit.passage.entry_id, hit.passage.lang) == ("return-item", "en")
    assert hit.passage.source == "en/returns.md"


def test_another_language_finds_what_the_multilingual_encoder_knows(make_retriever: MakeRetriever) -> None:
    (hit, *_) = make_retriever().search("Wie sende ich zurück?", language="de")
    assert (hit.passage.entry_id, hit.passage.lang) == ("return-item", "zh")


def test_an_entry_is_given_by_id_in_the_language_or_else_in_another(make_retriever: MakeRetriever) -> None:
    retriever = make_retriever()
    for entry_id, language, expected in (
        ("return-item", "zh", "zh"),
        ("return-item", "en", "en"),
        ("shop", "en", "zh"),
        ("repair", "fr", "en"),
    ):
        passage = retriever.entry(entry_id, language)
        assert passage is not None
        assert passage.lang == expected
    assert retriever.entry("no-such-entry", "en") is None


def test_a_new_index_is_searched_from_the_next_search_on(
    knowledge: Knowledge, encoders: Encoders, make_retriever: MakeRetriever
) -> None:
    retriever = make_retriever()
    kept = tuple(entry for entry in knowledge.entries if entry.id != "repair")
    retriever.replace_index(build_index(replace(knowledge, entries=kept), encoders))
    assert retriever.entry("repair", "en") is None
    assert retriever.search("Do you repair lamps?", language="en") == []


def test_an_index_of_other_encoders_is_not_taken(knowledge: Knowledge, make_retriever: MakeRetriever) -> None:
    encoders = Encoders(hashing_encoders().english, hashing_encoders().english)
    with pytest.raises(ValueError, match="hash-english"):
        make_retriever().replace_index(build_index(knowledge, encoders))


def test_searches_that_run_while_the_index_changes_see_one_index_whole(
    knowledge: Knowledge, encoders: Encoders
) -> None:
    def version(number: int) -> Knowledge:
        # Each version holds other entries in another number, all marked with the version.
        entries = tuple(
            replace(entry, id=f"{entry.id}-{copy}", answer=f"{number}")
            for entry in knowledge.entries
            for copy in range(number)
        )
        return replace(knowledge, entries=entries)

    indexes = [build_index(version(number), encoders) for number in (1, 4)]
    retriever = FaqRetriever(indexes[0], encoders, RetrievalSettings(floor=0))
    done = threading.Event()

    def search() -> set[frozenset[str]]:
        seen = set()
        while not done.is_set() or not seen:
            hits = retriever.search("How do I return an item?", language="en", limit=20)
            seen.add(frozenset(hit.passage.text for hit in hits))
        return seen

    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(search) for _ in range(4)]
        for turn in range(200):
            retriever.replace_index(indexes[turn % 2])
        done.set()
        seen = set().union(*(task.result() for task in searches))
    assert seen <= {frozenset({"1"}), frozenset({"4"})}


@pytest.mark.parametrize("curve", [*CURVES.values(), Curve(20, -13)])
def test_every_curve_rises_from_unlikely_to_likely(curve: Curve) -> None:
    values = [curve(cosine / 10) for cosine in range(-10, 11)]
    assert values == sorted(values)
    assert values[10] < 0.01
    assert values[-1] > 0.95
    assert all(0 <= value <= 1 for value in values)


def test_an_encoder_without_a_curve_is_doubted_until_its_cosine_is_high() -> None:
    assert confidence("someone's own", "same", 0.6) < 0.35
    assert confidence("someone's own", "same", 0.9) > 0.95
