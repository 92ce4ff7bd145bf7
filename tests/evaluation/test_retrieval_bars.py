"""The recorded bars of search on public FAQs, through the command's own function; with D for the data's folder:

assistant evaluate retrieval --faq D/faq_stackfaq_en.jsonl.gz --queries D/queries_stackfaq_en.jsonl.gz
assistant evaluate retrieval --faq D/faq_apache_en_zh.jsonl.gz --queries D/queries_apache_en_zh.jsonl.gz
    --kind question_to_answer --fields answer --faq-lang en --query-lang en      (and zh, zh)
    --kind cross_lingual_en2zh --faq-lang zh                                     (and cross_lingual_zh2en, en)
assistant evaluate retrieval --faq D/passages_xquad_en_zh.jsonl.gz --queries D/queries_xquad_en_zh.jsonl.gz
    --fields answer --faq-lang en --query-lang en                                (and zh, zh)

Here every fifth StackFAQ query and every tenth XQuAD query is asked, so that the tests take minutes; their bars are
lower than the whole sets' by what so small a sample may miss by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from assistant.cli_evaluate import measure_retrieval
from assistant.config import Settings
from assistant.evaluation.ranking import Ranking
from assistant.evaluation.records import Query, read_queries
from assistant.evaluation.retrieval import Choice
from tests.evaluation.rows import write_rows

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

Measure = Callable[..., Ranking]


@pytest.fixture
def measure(eval_data: Callable[[str], Path], settings: Settings, tmp_path: Path) -> Measure:
    """Measure on two of the public files, asking every n-th query."""

    def run(faq: str, queries: str, choice: Choice, *, every: int = 1) -> Ranking:
        asked: Sequence[Query] = read_queries(eval_data(queries))[::every]
        chosen = write_rows(tmp_path / "queries.jsonl", *(query.model_dump() for query in asked))
        return measure_retrieval(settings, eval_data(faq), chosen, choice).total

    return run


def test_rephrased_questions_find_their_entry(measure: Measure) -> None:
    figures = measure("faq_stackfaq_en.jsonl.gz", "queries_stackfaq_en.jsonl.gz", Choice(), every=5)
    assert figures.n == 250
    assert figures.hit_at_1 >= 0.94
    assert figures.hit_at_5 >= 0.99


@pytest.mark.parametrize(("language", "bar"), [("en", 0.74), ("zh", 0.70)])
def test_questions_find_answers_they_share_few_words_with(measure: Measure, language: str, bar: float) -> None:
    choice = Choice(("answer",), faq_lang=language, query_lang=language, kind="question_to_answer")
    figures = measure("faq_apache_en_zh.jsonl.gz", "queries_apache_en_zh.jsonl.gz", choice)
    assert figures.n in (95, 96)
    assert figures.hit_at_1 >= bar


@pytest.mark.parametrize(("kind", "language"), [("cross_lingual_en2zh", "zh"), ("cross_lingual_zh2en", "en")])
def test_questions_find_entries_of_the_other_language(measure: Measure, kind: str, language: str) -> None:
    choice = Choice(faq_lang=language, kind=kind)
    figures = measure("faq_apache_en_zh.jsonl.gz", "queries_apache_en_zh.jsonl.gz", choice)
    assert figures.n == 36
    assert figures.hit_at_1 >= 0.97


@pytest.mark.parametrize("language", ["en", "zh"])
def test_questions_find_their_paragraph(measure: Measure, language: str) -> None:
    choice = Choice(("answer",), faq_lang=language, query_lang=language)
    figures = measure("passages_xquad_en_zh.jsonl.gz", "queries_xquad_en_zh.jsonl.gz", choice, every=10)
    assert figures.n == 119
    assert figures.hit_at_1 >= 0.92
