"""The real encoders on the demo FAQ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assistant.config import RetrievalSettings, Settings
from assistant.retrieval.artifact import open_or_build
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.index import FaqIndex, build_index
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.sources import Knowledge
from tests import demo_index
from tests.conftest import REPOSITORY
from tests.retrieval.paraphrases import IN_SCOPE, OUT_OF_SCOPE

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def opened(real_encoders: Encoders, tmp_path_factory: pytest.TempPathFactory) -> tuple[FaqIndex, Knowledge]:
    data_dir: Path = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=data_dir, knowledge={"root": REPOSITORY / "knowledge_base"})
    demo_index.lend(data_dir)
    open_or_build(settings, real_encoders)
    demo_index.keep(data_dir)
    return open_or_build(settings, real_encoders, progress=lambda done, total: pytest.fail("embedded again"))


@pytest.fixture(scope="module")
def retriever(opened: tuple[FaqIndex, Knowledge], real_encoders: Encoders) -> FaqRetriever:
    return FaqRetriever(opened[0], real_encoders, RetrievalSettings())


def test_the_demo_faq_has_no_problems(opened: tuple[FaqIndex, Knowledge]) -> None:
    assert opened[1].problems == ()


@pytest.mark.parametrize(
    ("query", "language"),
    [("如何退货", "zh"), ("and how do I send something back?", "en"), ("怎么把东西退给你们", "zh")],
)
def test_a_return_question_finds_its_entry_in_its_language(retriever: FaqRetriever, query: str, language: str) -> None:
    hit = retriever.search(query, language=language)[0]
    assert (hit.passage.entry_id, hit.passage.lang) == ("return-item", language)


def test_a_chinese_question_finds_an_entry_that_exists_in_english_only(
    opened: tuple[FaqIndex, Knowledge], real_encoders: Encoders
) -> None:
    knowledge = opened[1]
    kept = tuple(entry for entry in knowledge.entries if entry.lang == "en" or not entry.id.startswith("invoice"))
    index = build_index(replace(knowledge, entries=kept), real_encoders, previous=opened[0])
    hit = FaqRetriever(index, real_encoders, RetrievalSettings()).search("在哪里可以找到我的发票？", language="zh")[0]
    assert (hit.passage.entry_id, hit.passage.lang) == ("invoice-download", "en")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_most_paraphrases_find_their_entry_first(
    opened: tuple[FaqIndex, Knowledge], real_encoders: Encoders, language: str
) -> None:
    searching = FaqRetriever(opened[0], real_encoders, RetrievalSettings(floor=0))
    first, five = 0, 0
    for query, expected in IN_SCOPE[language]:
        ids = [hit.passage.entry_id for hit in searching.search(query, language=language, limit=5)]
        first += ids[0] in expected
        five += bool(expected & set(ids))
    assert first >= {"en": 26, "zh": 25}[language]
    assert five >= 29


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_out_of_scope_finds_nothing(retriever: FaqRetriever, language: str) -> None:
    found = [query for query in OUT_OF_SCOPE[language] if retriever.search(query, language=language)]
    assert found == []


@pytest.mark.parametrize(
    ("language", "query"), [("en", "hi"), ("en", "ok"), ("en", "123"), ("zh", "你好"), ("zh", "在吗")]
)
def test_small_talk_is_no_question(retriever: FaqRetriever, language: str, query: str) -> None:
    assert retriever.search(query, language=language) == []


@pytest.mark.parametrize(
    ("language", "query", "topic"), [("en", "shipping", "en/delivery.md"), ("zh", "运费", "zh/delivery.md")]
)
def test_one_word_can_be_a_question(retriever: FaqRetriever, language: str, query: str, topic: str) -> None:
    assert retriever.search(query, language=language)[0].passage.source == topic


def test_a_sure_hit_is_a_right_one(retriever: FaqRetriever) -> None:
    sure = [
        (hits[0].passage.entry_id, expected)
        for language, cases in IN_SCOPE.items()
        for query, expected in cases
        if (hits := retriever.search(query, language=language)) and hits[0].confidence >= 0.8
    ]
    assert len(sure) >= 26
    assert sum(entry_id in expected for entry_id, expected in sure) >= len(sure) - 1


@pytest.mark.parametrize(
    ("query", "stress", "language", "entry_id"),
    [
        ("How long can I return an item? for shoes?", "for shoes?", "en", "return-window-shoes"),
        ("How long is the warranty? batteries?", "batteries?", "en", "warranty-batteries"),
        ("如何退货？ 运费", "运费", "zh", "return-cost"),
        ("退款多久到账？ 支付宝", "支付宝", "zh", "refund-wallet"),
    ],
)
def test_the_stressed_part_of_a_follow_up_decides(
    retriever: FaqRetriever, query: str, stress: str, language: str, entry_id: str
) -> None:
    answered = {"return-window", "warranty-length", "return-item", "refund-time"}
    hits = [hit.passage.entry_id for hit in retriever.search(query, language=language, stress=stress)]
    assert next(found for found in hits if found not in answered) == entry_id
