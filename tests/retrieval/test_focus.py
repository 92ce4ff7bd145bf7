"""Which thing a conversation is about, learnt from the entries alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.config import RetrievalSettings
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.focus import Focus
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY
from tests.retrieval.entries import entry

pytestmark = pytest.mark.unit

SHOPS = ["Harbour Street", "Old Town", "Mill Lane", "Castle Park", "Harbour"]
HOTELS = ["如家酒店", "汉庭酒店", "全季酒店", "桔子酒店"]


def branches() -> list[Entry]:
    english = [
        entry(question.format(shop), "...", id=f"{shop}-{number}")
        for shop in SHOPS
        for number, question in enumerate(("Opening hours of the {} shop", "What is the phone number of {}?"))
    ]
    chinese = [
        entry(f"{hotel}的{what}", "...", id=f"{hotel}-{what}", lang="zh")
        for hotel in HOTELS
        for what in ("电话", "地址")
    ]
    return [*english, *chinese]


@pytest.fixture
def focus() -> Focus:
    return Focus(branches(), range(len(branches())))


def about(focus: Focus, query: str, *context: str) -> set[str]:
    found = focus.of(query, context)
    return set() if found is None else {branches()[number].id.rpartition("-")[0] for number in found.tolist()}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (["I'd like to visit the Mill Lane shop"], {"Mill Lane"}),
        (["Mill Lane?", "Or rather old town!"], {"Old Town"}),
        (["Is Castle Park bigger than Old Town?"], {"Old Town"}),
        (["the one in Harbour Street"], {"Harbour Street"}),
        (["推荐您去汉庭酒店。", "好的"], {"汉庭酒店"}),
        (["推薦您去漢庭酒店"], {"汉庭酒店"}),
        (["Mill Lane", "so tell me"], {"Mill Lane"}),
    ],
)
def test_the_thing_named_last_is_what_is_spoken_of(focus: Focus, context: list[str], expected: set[str]) -> None:
    assert about(focus, "and the phone number? 电话", *context) == expected


@pytest.mark.parametrize("context", [[], ["hello"], ["I have a question about the shop"], ["millstone lane"], [""]])
def test_a_context_that_names_nothing_narrows_nothing(focus: Focus, context: list[str]) -> None:
    assert focus.of("phone number", context) is None


def test_what_the_query_names_itself_goes_before_what_was_said(focus: Focus) -> None:
    assert about(focus, "the phone number of Old Town", "Mill Lane") == {"Old Town"}


def test_what_is_asked_of_a_thing_is_no_thing(focus: Focus) -> None:
    assert focus.of("the opening hours", ["the phone number"]) is None
    assert focus.of("电话", ["地址是什么"]) is None


def test_things_that_differ_in_a_tag_are_told_apart() -> None:
    entries = [
        entry(question, "...", id=f"{shop}-{question}", tags=(shop, "branch"))
        for shop in SHOPS
        for question in ("When are you open?", "How can I call you?")
    ]
    found = Focus(entries, range(len(entries))).of("when open", ["Old Town please"])
    assert found is not None
    assert found.tolist() == [2, 3]


def test_one_row_of_titles_alone_names_no_things() -> None:
    entries = [entry(f"How do I change my {what}?", "...", id=what) for what in ("name", "card", "phone", "mail")]
    assert len(Focus(entries, range(4))) == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_demo_faq_has_no_rows_of_things(language: str) -> None:
    entries = [one for one in load_knowledge(REPOSITORY / "knowledge_base").entries if one.lang == language]
    assert len(Focus(entries, range(len(entries)))) == 0


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=4))
def test_any_query_and_context_are_taken(query: str, context: list[str]) -> None:
    Focus(branches(), range(len(branches()))).of(query, context)


def test_a_search_goes_to_the_thing_that_is_spoken_of(encoders: Encoders) -> None:
    retriever = FaqRetriever(build_index(Knowledge.of(branches(), ()), encoders), encoders, RetrievalSettings(floor=0))
    for shop in SHOPS:
        hits = retriever.search("what is the phone number", language="en", context=[f"You mean {shop}?", "Yes."])
        assert hits[0].passage.entry_id == f"{shop}-1"
        assert [hit.confidence for hit in hits] == sorted((hit.confidence for hit in hits), reverse=True)


def test_the_names_of_a_tenants_things_are_told_as_they_are_in_the_index_now(encoders: Encoders) -> None:
    whole, less = Knowledge.of(branches(), ()), Knowledge.of(branches()[:1], ())
    retriever = FaqRetriever(build_index(whole, encoders), encoders, RetrievalSettings(floor=0))
    assert {shop.lower() for shop in SHOPS} <= set(retriever.names(""))
    assert retriever.names("") is retriever.names("")
    assert retriever.names("another") == ()
    retriever.replace_index(build_index(less, encoders))
    assert retriever.names("") == ()


def test_names_are_written_as_in_their_language() -> None:
    names = Focus(branches(), range(len(branches()))).names
    assert {"old town", "全季", "汉庭"} <= set(names)
