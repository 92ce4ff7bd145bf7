"""Entries as rows of JSON Lines and tables, and what is said about rows that are wrong."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assistant.errors import KnowledgeError
from assistant.retrieval import rows
from assistant.retrieval.sources import Knowledge, load_knowledge, read_source

pytestmark = pytest.mark.unit

GOOD = {"id": "good", "lang": "en", "question": "Is this fine?", "answer": "Yes."}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of lines; objects become JSON."""

    def put(name: str, *lines: object) -> Path:
        path = tmp_path / "knowledge" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    return put


def offsets_hold(knowledge: Knowledge, folder: Path) -> bool:
    return all(
        read_source(folder / entry.source)[entry.source_start : entry.source_end] == entry.answer
        for entry in knowledge.entries
    )


def test_one_file_of_rows_is_a_knowledge_base(write: Write) -> None:
    chinese = {"id": "tui", "lang": "zh-CN", "question": "如何退货？", "answer": "登录后选择\n「退货」。"}
    path = write("faq.jsonl", GOOD | {"wordings": ["OK?"], "tags": "a, b", "source": "web"}, "", chinese)
    knowledge = load_knowledge(path, tenant="second")
    english, other = knowledge.entries
    assert (english.wordings, english.tags, english.topic) == (("OK?",), ("a", "b"), "web")
    assert (other.lang, other.question, other.topic) == ("zh", "如何退货？", "faq")
    assert {entry.tenant for entry in knowledge.entries} == {"second"}
    assert {entry.kind for entry in knowledge.entries} == {"faq"}
    assert knowledge.problems == ()
    assert offsets_hold(knowledge, path.parent)


def test_a_packed_file_gives_what_the_unpacked_one_gives(write: Write) -> None:
    path = write("faq.jsonl", GOOD, {**GOOD, "id": "other", "answer": 'With "quotes" and\ttabs'})
    packed = path.with_name("faq.jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [e.answer for e in load_knowledge(packed).entries] == [e.answer for e in load_knowledge(path).entries]
    assert offsets_hold(load_knowledge(packed), packed.parent)


def test_of_several_answers_the_first_is_sent(write: Write) -> None:
    row = {"id": "x", "lang": "en", "question": "Q?", "answers": ["one", "two"]}
    assert load_knowledge(write("faq.jsonl", row)).entries[0].answer == "one"


def test_a_row_in_a_language_folder_needs_no_language_and_may_have_another(write: Write) -> None:
    path = write("zh/faq.jsonl", {"question": "退货？", "answer": "可以。"}, GOOD)
    first, second = load_knowledge(path.parent.parent).entries
    assert (first.lang, first.id) == ("zh", "zh/faq#退货")
    assert (second.lang, second.id) == ("en", "good")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "Invalid JSON"),
        ('["list"]', "Input should be an object"),
        ({"lang": "en", "question": "Q?"}, "it has no 'answer'"),
        ({"lang": "en", "answer": "A"}, "it has no 'question'"),
        ({"lang": "en", "question": "Q?", "answer": "  "}, "answer: String should have at least 1 character"),
        ({"lang": "en", "question": "Q" * 2001, "answer": "A"}, "question: String should have at most 2000"),
        ({"lang": "en", "question": "Q?", "answer": "A" * 100_001}, "answer: String should have at most 100000"),
        ({"lang": "en", "question": "Q?", "answer": ["A"]}, "answer: Input should be a valid string"),
        ({"lang": "en", "question": "Q?", "answer": "A", "wordings": ["x"] * 101}, "at most 100 items"),
        ({"id": "two words", "lang": "en", "question": "Q?", "answer": "A"}, "id: String should match"),
        ({"lang": "english", "question": "Q?", "answer": "A"}, "the language 'english' is no ISO 639-1 code"),
        ({"question": "Q?", "answer": "A"}, "it has no 'lang'"),
        ({"lang": "en", "question": "???", "answer": "A"}, "no id can be made"),
        ('{"lang": "en", "question": "Q?", "answer": "\\ud800"}', "Invalid JSON"),
        ({**GOOD}, "the id 'good' is taken by"),
        ({"lang": "en", "removed": True}, "a removed row needs its 'id'"),
    ],
)
def test_a_broken_row_is_one_problem_with_its_line_and_the_others_are_read(
    write: Write, row: object, said: str
) -> None:
    knowledge = load_knowledge(write("faq.jsonl", GOOD, row, {**GOOD, "id": "last"}))
    assert [entry.id for entry in knowledge.entries] == ["good", "last"]
    (problem,) = knowledge.problems
    assert "faq.jsonl:2: " in str(problem)
    assert said in str(problem)
    assert problem.fix


TABLE = """\
id,question,answer,also,tags,price
ship,"How much, please?","5 EUR.
""Express"" costs 9.",What is postage? | Delivery fee?,shipping; price,5
,No id here?,Fine.,,,
"""


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_with_its_wordings_and_tags(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "en" / "prices.csv"
    path.parent.mkdir()
    text = TABLE.replace("; ", "|").replace("much, please", "much please").replace(",", delimiter)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    knowledge = load_knowledge(tmp_path)
    first, second = knowledge.entries
    assert knowledge.problems == ()
    assert first.answer == '5 EUR.\n"Express" costs 9.'
    assert (first.wordings, first.tags) == (("What is postage?", "Delivery fee?"), ("shipping", "price"))
    assert (second.id, second.wordings) == ("en/prices#no-id-here", ())
    assert offsets_hold(knowledge, tmp_path)


def test_a_table_may_have_chinese_headings(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("编号,语言,问题,答案,又问\ntui,zh,如何退货？,登录后退货。,怎么退|想退\n", encoding="utf-8")
    (entry,) = load_knowledge(path).entries
    assert (entry.id, entry.lang, entry.wordings) == ("tui", "zh", ("怎么退", "想退"))


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("q,a\nx,y\n", ":1: ", "the first line does not name the columns"),
        ("", ":1: ", "the first line does not name the columns"),
        ('question,answer,"tags"x\nQ?,A,t\n', ":1: ", "the first line cannot be read: ',' expected after"),
        pytest.param(
            f"question,answer,{'x' * 131_073}\nQ?,A,t\n", ":1: ", "cannot be read: field larger than", id="long"
        ),
        ("question,answer\nQ?,A\nQ2?,\n", ":3: ", "it has no 'answer'"),
        ('question,answer\nQ?,A\nQ2?,"never closed\nmore\n', ":3: ", "unexpected end of data"),
        ('question,answer\nQ?,A\n"Q2"x,A\n', ":3: ", "expected after"),
    ],
)
def test_a_broken_table_is_one_problem_with_its_line(write: Write, text: str, place: str, said: str) -> None:
    path = write("en/broken.csv", *text.splitlines())
    write("en/good.jsonl", GOOD)
    knowledge = load_knowledge(path.parent.parent)
    (problem,) = knowledge.problems
    assert f"broken.csv{place}" in str(problem)
    assert said in str(problem)
    assert "good" in {entry.id for entry in knowledge.entries}


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("en/good.jsonl", GOOD)
    packed = path.with_name("bomb.jsonl.gz")
    packed.write_bytes(gzip.compress(b" " * 100_000))
    monkeypatch.setattr(rows, "MAX_ROWS_BYTES", 10_000)
    (problem,) = load_knowledge(path.parent.parent).problems
    assert "bomb.jsonl.gz: the file has more than that bytes; the limit is 10000" in str(problem)


def test_a_damaged_packed_file_is_a_problem(write: Write) -> None:
    path = write("en/good.jsonl", GOOD)
    path.with_name("cut.jsonl.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    path.with_name("none.jsonl.gz").write_bytes(b"not packed")
    problems = load_knowledge(path.parent.parent).problems
    assert [("cut" in str(p) or "none" in str(p)) and "no gzip file" in str(p) for p in problems] == [True, True]


def test_test_cases_are_no_knowledge_and_rows_beside_the_languages_are(write: Write) -> None:
    write("cases/returns.jsonl", {"id": "case", "turns": []})
    write("extra.jsonl", {**GOOD, "id": "extra"})
    knowledge = load_knowledge(write("en/good.jsonl", GOOD).parent.parent)
    assert sorted(entry.id for entry in knowledge.entries) == ["extra", "good"]
    assert knowledge.problems == ()


def test_a_root_that_is_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faq.txt").write_text("x")
    with pytest.raises(KnowledgeError, match=r"faq\.txt is not a folder, nor a \.jsonl or \.csv file"):
        load_knowledge(tmp_path / "faq.txt")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.fixed_dictionaries({"question": TEXT, "answer": TEXT}), max_size=12))
@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_offsets_reproduce_every_answer_of_any_rows(tmp_path: Path, given_rows: list[dict[str, str]]) -> None:
    path = tmp_path / "faq.jsonl"
    lines = [json.dumps({**row, "id": str(number), "lang": "en"}) for number, row in enumerate(given_rows)]
    path.write_text("\n".join([*lines, json.dumps(GOOD)]), encoding="utf-8")
    knowledge = load_knowledge(path)
    whole = [row for row in given_rows if shown(row["question"]) and shown(row["answer"])]
    assert [entry.answer for entry in knowledge.entries[:-1]] == [shown(row["answer"]) for row in whole]
    assert offsets_hold(knowledge, tmp_path)


def shown(text: str) -> str:
    """Without controls but tabs and line ends, which are of one kind."""
    one_end = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c for c in one_end if c in "\t\n" or unicodedata.category(c) != "Cc")
    return "".join(c for c in kept if c not in "\ufeff\ufffe\uffff").strip()
