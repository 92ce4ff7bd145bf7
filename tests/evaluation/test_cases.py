from __future__ import annotations

from pathlib import Path

import pytest

from assistant.errors import DatasetError
from assistant.evaluation.cases import Expect, Given, judge, load_cases
from tests.evaluation.rows import write_rows

pytestmark = pytest.mark.unit

CASE = {
    "id": "en-1",
    "lang": "en",
    "kind": "paraphrase",
    "turns": [{"role": "customer", "text": "How long?"}],
    "expect": {"entry_ids": ["return-window"], "include": ["30 days"], "exclude": [], "decision": "verbatim"},
}


def given(text: str, *cited: str, decision: str = "verbatim") -> Given:
    return Given(text, decision, frozenset(cited))  # type: ignore[arg-type]


def missing(expect: dict[str, object], answer: Given) -> tuple[str, ...]:
    return judge(Expect.model_validate(expect), answer).missing


# -- reading


def test_a_folder_gives_the_cases_of_all_its_files_in_order(tmp_path: Path) -> None:
    write_rows(tmp_path / "b.jsonl", CASE | {"id": "b"})
    write_rows(tmp_path / "a.jsonl.gz", CASE | {"id": "a"})
    (tmp_path / "README.md").write_text("How to write cases")
    assert [case.id for case in load_cases([tmp_path])] == ["a", "b"]


def test_only_the_customers_turns_are_asked(tmp_path: Path) -> None:
    turns = [{"role": "customer", "text": "Hi"}, {"role": "assistant", "text": "Yes?"}, {"role": "user", "text": "So"}]
    case = load_cases([write_rows(tmp_path / "c.jsonl", CASE | {"turns": turns})])[0]
    assert case.asked == ("Hi", "So")


def test_one_text_stands_for_a_list_of_one(tmp_path: Path) -> None:
    expect = load_cases([write_rows(tmp_path / "c.jsonl", CASE)])[0].expect
    assert expect.decision == ("verbatim",)
    assert expect.entry_ids == (("return-window",),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"expect": {}}, "c.jsonl:1: expect = .*expects nothing"),
        ({"expect": {"decision": "guessed"}}, "c.jsonl:1: expect.decision.0 = 'guessed'"),
        ({"expect": {"includes": ["x"]}}, "c.jsonl:1: expect.includes = "),
        ({"turns": []}, "c.jsonl:1: turns = "),
        ({"turns": [{"role": "agent", "text": "Hi"}]}, "c.jsonl:1: no turn is the customer's"),
        ({"turns": [{"role": "bot", "text": "Hi"}]}, "c.jsonl:1: turns.0.role = 'bot'"),
        ({"knowledge": [{"id": "x", "lang": "en"}]}, "c.jsonl:1: knowledge.0"),
    ],
)
def test_a_row_that_is_no_case_is_refused_with_its_place(tmp_path: Path, change: dict[str, object], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        load_cases([write_rows(tmp_path / "c.jsonl", CASE | change)])


def test_an_id_is_used_once_in_all_files(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", CASE)
    write_rows(tmp_path / "b.jsonl", CASE | {"id": "en-2"}, CASE)
    with pytest.raises(DatasetError, match=r"b.jsonl:2: the case id 'en-1' stands at .*a.jsonl:1"):
        load_cases([tmp_path])


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No case lies in"):
        load_cases([tmp_path])


# -- judging


def test_an_answer_with_everything_expected_is_right() -> None:
    expect = {"entry_ids": ["a", ["b", "c"]], "include": ["30 days"], "decision": ["verbatim", "composed"]}
    assert missing(expect, given("You have 30 days.", "a", "c")) == ()


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"decision": ["abstained", "clarified"]}, "decision abstained or clarified"),
        ({"entry_ids": ["a", "d"]}, "entry d"),
        ({"entry_ids": [["d", "e"]]}, "entry d or e"),
        ({"include": [["14 days", "two weeks"]]}, "text 14 days or two weeks"),
        ({"exclude": ["30 days"]}, "no 30 days"),
    ],
)
def test_what_is_missing_is_named(expect: dict[str, object], told: str) -> None:
    assert missing(expect, given("You have 30 days.", "a")) == (told,)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("eur 3.90", "That is **EUR  3.90**."),
        ("３０ 天", "您有30天。"),
        ("30天", "您有 30 天。"),
        ("Don’t wash", "Please don't wash it"),
        ("14", "14-day trial"),
        ("EUR 12", "It costs EUR 12.00."),
    ],
)
def test_texts_are_compared_without_width_case_white_space_and_marks(wanted: str, text: str) -> None:
    assert missing({"include": [wanted]}, given(text)) == ()


@pytest.mark.parametrize(("wanted", "text"), [("3", "30 days"), ("12", "EUR 12.50"), ("90", "EUR 3.90"), ("30", "130")])
def test_a_number_is_not_found_inside_a_longer_one(wanted: str, text: str) -> None:
    assert missing({"include": [wanted]}, given(text)) == (f"text {wanted}",)


def test_only_a_case_with_an_answer_can_be_wrongly_abstained() -> None:
    assert Expect.model_validate({"include": ["30"]}).wants_answer
    assert not Expect.model_validate({"decision": "abstained"}).wants_answer
    assert not Expect.model_validate({"exclude": ["30"]}).wants_answer
