from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from assistant import cli_options, evaluating, models
from assistant.cli import app
from assistant.config import RetrievalSettings
from assistant.errors import DatasetError
from assistant.evaluation import retrieval
from assistant.evaluation.intervals import bootstrap_mean, wilson
from assistant.evaluation.ranking import rank_of, ranking
from assistant.evaluation.records import FaqRow, Query, Turn
from assistant.evaluation.retrieval import Choice, choose, evaluate_retrieval
from assistant.retrieval.retriever import FaqRetriever
from tests.evaluation.rows import write_rows
from tests.retrieval.hashing import hashing_encoders

pytestmark = pytest.mark.unit

FAQ = [
    FaqRow(id="return", lang="en", question="How do I return an item?", answer="Print the label."),
    FaqRow(id="invoice", lang="en", question="Where is my invoice?", answer="Under My account."),
    FaqRow(id="lamps", lang="en", question="Do you repair lamps?", answer="Yes, in the workshop."),
    FaqRow(id="return", lang="zh", question="如何退货？", answer="打印标签。"),
    FaqRow(id="invoice", lang="zh", question="发票在哪里？", answer="在我的账户里。"),
]


def query(qid: str, text: str, *relevant: str, lang: str = "en", **more: object) -> Query:
    return Query.model_validate({"qid": qid, "lang": lang, "text": text, "relevant": relevant} | more)


RETURN = query("q1", "how do I return an item", "return")
INVOICE_ZH = query("q2", "发票在哪里", "invoice", lang="zh")


def measured(queries: Sequence[Query], choice: Choice = Choice()) -> retrieval.RetrievalReport:  # noqa: B008
    task = choose(FAQ, queries, choice)
    return evaluate_retrieval(task, hashing_encoders(), RetrievalSettings(), history=choice.history)


# -- figures


def test_ranks_are_counted_by_place() -> None:
    figures = ranking([1, 2, 6, None])
    assert (figures.n, figures.hit_at_1, figures.hit_at_5) == (4, 0.25, 0.5)
    assert figures.mrr_at_10 == pytest.approx((1 + 1 / 2 + 1 / 6) / 4)


def test_the_first_relevant_of_ten_gives_the_rank() -> None:
    found = [f"e{number}" for number in range(12)]
    assert rank_of(found, {"e3", "e2"}) == 3
    assert rank_of(found, {"e10"}) is None


def test_wilson_is_the_published_interval() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998, table I
    assert wilson(0, 20)[0] == 0
    assert wilson(0, 20)[1] == pytest.approx(0.1611, abs=5e-4)


def test_the_bootstrap_holds_the_mean_and_narrows_with_more_values() -> None:
    few, many = bootstrap_mean([1.0, 0.0, 0.5] * 5), bootstrap_mean([1.0, 0.0, 0.5] * 500)
    assert few[0] < many[0] < 0.5 < many[1] < few[1]
    assert many == bootstrap_mean([1.0, 0.0, 0.5] * 500)
    spread = float(np.std([1.0, 0.0, 0.5])) / np.sqrt(1500)
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * spread, rel=0.1)


# -- what is measured


def test_right_entries_are_found_in_their_language() -> None:
    report = measured([RETURN, INVOICE_ZH])
    assert (report.total.n, report.total.hit_at_1) == (2, 1.0)
    assert {language: figures.n for language, figures in report.by_language.items()} == {"en": 1, "zh": 1}
    assert report.notes == ()


def test_only_the_chosen_fields_are_indexed() -> None:
    asked = [query("q", "print the label", "return")]
    assert measured(asked, Choice(fields=("answer",), faq_lang="en")).total.hit_at_1 == 1
    entry = choose(FAQ, asked, Choice(fields=("answer",))).entries[0]
    assert (entry.question, entry.answer) == ("", "Print the label.")


def test_queries_are_kept_by_language_and_kind() -> None:
    queries = [RETURN, INVOICE_ZH, query("q3", "repair lamps", "lamps", kind="short")]
    assert measured(queries, Choice(query_lang="zh")).total.n == 1
    assert measured(queries, Choice(kind="short")).total.n == 1


def test_a_query_whose_entries_are_filtered_away_is_left_out_and_counted() -> None:
    report = measured([RETURN, query("q3", "repair lamps", "lamps")], Choice(faq_lang="zh"))
    assert report.total.n == 1
    assert report.notes == ("1 queries were left out: the entries that answer them are not indexed.",)


def test_the_other_languages_gold_counts_where_only_that_is_indexed() -> None:
    faq = [*FAQ, FaqRow(id="lamps-zh", lang="zh", question="能修台灯吗？", answer="可以。")]
    asked = query("q", "repair lamps", "lamps", relevant_other_lang=["lamps-zh"])
    assert choose(faq, [asked], Choice(faq_lang="zh")).asked[0].relevant == {"lamps-zh"}
    assert choose(faq, [asked], Choice()).asked[0].relevant == {"lamps"}


def test_a_query_for_an_entry_that_is_nowhere_counts_as_a_miss() -> None:
    report = measured([RETURN, query("q9", "anything", "gone")])
    assert (report.total.n, report.total.hit_at_1) == (2, 0.5)
    assert report.notes == ("1 queries name no entry of the FAQ and count as misses; the first is q9.",)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (Choice(kind="odd"), "kind odd.*languages en and the kinds"),
        (Choice(query_lang="fr"), "language fr"),
        (Choice(faq_lang="fr"), "No entry in the FAQ"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(choice: Choice, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        choose(FAQ, [RETURN], choice)


def test_a_follow_up_is_searched_with_what_it_refers_to(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, list[str]]] = []

    def remember(self: FaqRetriever, text: str, *, stress: str, context: Sequence[str], **_: object) -> list[object]:
        seen.append((text, stress, list(context)))
        return []

    monkeypatch.setattr(FaqRetriever, "search", remember)
    turns = ["Do you sell lamps?", "How long can I return an item?", "30 days."]
    context = [Turn(role="agent" if text.endswith(".") else "customer", text=text) for text in turns]
    asked = query("q", "and for shoes?", "return", context=[turn.model_dump() for turn in context])
    measured([asked], Choice(history=2))
    measured([asked])
    assert seen == [
        ("How long can I return an item? for shoes?", "for shoes?", turns[1:]),
        ("and for shoes?", "", []),
    ]


# -- the command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """`assistant evaluate retrieval` with encoders that need no model."""
    monkeypatch.setattr(models, "pull", lambda *_, **__: None)
    monkeypatch.setattr(cli_options, "set_up_logging", lambda *_, **__: None)  # it would keep this test's stderr
    monkeypatch.setattr(evaluating, "load_encoders", lambda settings: hashing_encoders())
    faq = write_rows(tmp_path / "faq.jsonl.gz", *(row.model_dump() for row in FAQ))
    queries = write_rows(tmp_path / "q.jsonl", *(item.model_dump() for item in (RETURN, INVOICE_ZH)))

    def run(*options: str) -> Result:
        files = ["--faq", str(faq), "--queries", str(queries)]
        return CliRunner(env={"ASSISTANT_DATA_DIR": str(tmp_path / "data")}).invoke(
            app, ["evaluate", "retrieval", *files, *options]
        )

    with capture_logs():
        yield run


def test_the_command_prints_one_json_object_and_stores_nothing(command: Callable[..., Result], tmp_path: Path) -> None:
    result = command("--json", "--history", "2")
    printed = json.loads(result.stdout)
    assert (printed["n"], printed["hit_at_1"], printed["hit_at_5"], printed["mrr_at_10"]) == (2, 1.0, 1.0, 1.0)
    assert set(printed["by_language"]["en"]) >= {"n", "hit_at_1", "hit_at_5", "mrr_at_10", "hit_at_1_ci"}
    assert printed["settings"]["history"] == 2
    assert not (tmp_path / "data").exists()


def test_the_command_prints_a_table_for_people(command: Callable[..., Result]) -> None:
    shown = command("--query-lang", "zh").stdout
    assert "hit@1" in shown
    assert "1.000 (0.207-1.000)" in shown


def test_an_unknown_field_is_refused_with_those_there_are(command: Callable[..., Result]) -> None:
    error = command("--fields", "title").exception
    assert isinstance(error, DatasetError)
    assert "'title'" in error.message
    assert "question, answer" in error.fix
