"""Which entries a question finds, in which language, and how sure the retriever is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.config import RetrievalSettings
from assistant.retrieval import ranking
from assistant.retrieval.calibration import CURVES, MOST_LEAD, UNCALIBRATED, Curve, Situation, confidence
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import Knowledge
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from tests.retrieval.entries import entry
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


HIGHEST_SCORE = 10.0


@pytest.mark.parametrize("curve", [*CURVES.values(), UNCALIBRATED])
def test_every_curve_rises_from_unlikely_to_likely(curve: Curve) -> None:
    steps = np.linspace(0, 1, 11)
    alone = curve(steps, np.zeros(11), np.zeros(11), HIGHEST_SCORE * steps)
    for values in (alone, curve(steps, steps, MOST_LEAD * steps, HIGHEST_SCORE * steps)):
        assert values.tolist() == sorted(values)
        assert values[0] < 0.04
    assert curve(np.ones(1), np.ones(1), np.full(1, MOST_LEAD), np.full(1, HIGHEST_SCORE))[0] > 0.95


def test_an_encoder_without_a_curve_is_doubted_until_its_cosine_is_high() -> None:
    case = Situation(("someone's own",), "en", "question")
    low, high = confidence(case, np.array([0.6, 0.9]), np.zeros(2), np.zeros(2), np.zeros(2))
    assert low < 0.35
    assert high > 0.95


def test_of_two_entries_that_match_alike_neither_is_as_sure_as_one_alone() -> None:
    case = Situation(("all-minilm-l6-v2",), "en", "question")
    alone, beside_a_like_one = confidence(
        case, np.full(2, 0.6), np.full(2, 0.5), np.array([MOST_LEAD, 0.0]), np.full(2, 5.5)
    )
    assert alone > 0.8 > beside_a_like_one


def test_of_two_tenants_each_finds_its_own_entries_only(encoders: Encoders) -> None:
    entries = [
        entry("Can I return it?", "Within 30 days.", id="return", tenant=""),
        entry("Can I return it?", "Never.", id="return", tenant="strict"),
        entry("能退货吗？", "不能。", id="return", lang="zh", tenant="strict"),
    ]
    retriever = FaqRetriever(build_index(Knowledge.of(entries, ()), encoders), encoders, RetrievalSettings(floor=0))
    for tenant, language, answer in (
        ("", "en", "Within 30 days."),
        ("strict", "en", "Never."),
        ("strict", "zh", "不能。"),
    ):
        (hit,) = retriever.search("Can I return it? 能退货吗？", language=language, tenant=tenant)
        assert hit.passage.text == answer
        passage = retriever.entry("return", language, tenant=tenant)
        assert passage is not None
        assert passage.text == answer
    assert retriever.search("Can I return it?", language="en", tenant="unknown") == []
    assert retriever.entry("return", "en", tenant="unknown") is None


WORDS = st.sampled_from("return item lamp parcel 退货 发票 运费 refund".split())
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
TENANTS = st.sampled_from(["", "a", "b"])
ENTRIES = st.lists(
    st.tuples(TENANTS, st.sampled_from(["en", "zh", "de"]), st.sampled_from(["1", "2", "3"]), TEXTS, TEXTS),
    max_size=12,
    unique_by=lambda drawn: drawn[:3],
)


@given(ENTRIES, TEXTS, TENANTS, st.sampled_from(["en", "zh", "de"]), st.lists(TEXTS, max_size=2))
@hypothesis.settings(max_examples=60, deadline=None)
def test_no_search_ever_gives_another_tenant_s_passage(
    drawn: list[tuple[str, str, str, str, str]], query: str, tenant: str, language: str, context: list[str]
) -> None:
    encoders = hashing_encoders()
    # The answer names the tenant, so that a passage tells whose it is.
    entries = [
        entry(question, f"{owner}|{answer}", id=entry_id, lang=lang, tenant=owner)
        for owner, lang, entry_id, question, answer in drawn
    ]
    retriever = FaqRetriever(build_index(Knowledge.of(entries, ()), encoders), encoders, RetrievalSettings(floor=0))
    hits = retriever.search(query, language=language, tenant=tenant, context=context, limit=20)
    ids = [hit.passage.entry_id for hit in hits]
    assert {hit.passage.text.partition("|")[0] for hit in hits} <= {tenant}
    assert len(ids) == len(set(ids))
    assert all(hit.confidence >= other.confidence for hit, other in pairwise(hits))


def test_without_a_floor_a_full_ranking_comes_back_whatever_fields_are_empty(encoders: Encoders) -> None:
    texts = [("", f"answer {number}") for number in range(8)] + [(f"question {number}", "") for number in range(8)]
    entries = [entry(question, answer, id=question + answer) for question, answer in texts]
    retriever = FaqRetriever(build_index(Knowledge.of(entries, ()), encoders), encoders, RetrievalSettings(floor=0))
    assert len(retriever.search("something else", language="en", limit=10)) == 10
    assert retriever.search("answer 5", language="en")[0].passage.entry_id == "answer 5"
    assert retriever.search("question 3", language="en")[0].passage.entry_id == "question 3"


def test_a_large_group_is_searched_by_its_nearest_entries(encoders: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [entry(f"question number {number}", f"answer {number}", id=f"{number:03}") for number in range(300)]
    index = build_index(Knowledge.of(entries, ()), encoders)
    retriever = FaqRetriever(index, encoders, RetrievalSettings(floor=0))
    whole = [retriever.search(f"number {number}", language="en", limit=3) for number in (7, 42, 299)]
    monkeypatch.setattr(ranking, "EXHAUSTIVE", 10)
    monkeypatch.setattr(ranking, "SAMPLE", 300)
    assert [retriever.search(f"number {number}", language="en", limit=3) for number in (7, 42, 299)] == whole


def test_a_document_s_section_says_that_it_is_one(encoders: Encoders) -> None:
    made = entry("Manual > Care", "Wipe the lamp with a dry cloth.", kind="document")
    retriever = FaqRetriever(build_index(Knowledge.of([made], ()), encoders), encoders, RetrievalSettings(floor=0))
    (hit,) = retriever.search("wipe the lamp", language="en")
    assert hit.passage.kind == "document"
