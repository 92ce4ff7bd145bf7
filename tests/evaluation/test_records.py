from __future__ import annotations

from pathlib import Path

import pytest

from assistant.errors import DatasetError
from assistant.evaluation import records
from assistant.evaluation.records import read_faq, read_queries
from tests.evaluation.rows import write_rows

pytestmark = pytest.mark.unit

ENTRY = {"id": "a", "lang": "en", "question": "How?", "answer": "So."}
QUERY = {"qid": "q", "lang": "en", "text": "how", "relevant": ["a"]}


@pytest.mark.parametrize("name", ["faq.jsonl", "faq.jsonl.gz"])
def test_entries_are_read_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, ENTRY, ENTRY | {"id": "b", "lang": "zh-Hant", "question": "怎么？", "more": 1})
    assert [(row.id, row.lang, row.question) for row in read_faq(path)] == [("a", "en", "How?"), ("b", "zh", "怎么？")]


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "faq.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "lang": "en", "answer": "So."}\n\n')
    assert len(read_faq(path)) == 1


def test_twins_share_an_id_across_languages(tmp_path: Path) -> None:
    assert len(read_faq(write_rows(tmp_path / "faq.jsonl", ENTRY, ENTRY | {"lang": "zh"}))) == 2


def test_the_context_of_a_query_keeps_who_spoke(tmp_path: Path) -> None:
    turns = [{"role": "customer", "text": "Hi"}, {"role": "agent", "text": "Hello"}, {"role": "user", "text": "Well"}]
    query = read_queries(write_rows(tmp_path / "q.jsonl", QUERY | {"context": turns}))[0]
    assert [turn.by_customer for turn in query.context] == [True, False, True]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"lang": "en", "answer": "So."}, "2: the key id is missing"),
        (ENTRY | {"lang": "english"}, "2: lang = 'english'"),
        (ENTRY | {"answer": 3}, "2: answer = 3"),
        ({"id": "b", "lang": "en", "question": " "}, "2: the entry has neither question nor answer"),
        (["no", "object"], "2: is list, not an object"),
        (ENTRY, "2: the en id 'a' stands at .*faq.jsonl:1 already"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_file_and_line(tmp_path: Path, row: object, told: str) -> None:
    path = write_rows(tmp_path / "faq.jsonl", ENTRY, row)
    with pytest.raises(DatasetError, match=rf"faq.jsonl:{told}") as raised:
        read_faq(path)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"qid": "q", "lang": "en", "text": "how"}, "the key relevant is missing"),
        (QUERY | {"relevant": []}, "relevant = "),
        (QUERY | {"context": [{"role": "robot", "text": "hi"}]}, "context.0.role = 'robot'"),
    ],
)
def test_a_query_without_what_it_needs_is_refused(tmp_path: Path, row: object, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        read_queries(write_rows(tmp_path / "q.jsonl", row))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has no row"),
        (b"{not json}\n", ":1: is not JSON"),
        (b'{"id": "\xff"}\n', "cannot be read"),
    ],
)
def test_a_file_without_readable_rows_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "faq.jsonl"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=told):
        read_faq(path)


def test_a_missing_file_and_a_broken_archive_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none.jsonl does not exist"):
        read_faq(tmp_path / "none.jsonl")
    (tmp_path / "torn.jsonl.gz").write_bytes(b"\x1f\x8b\x08 torn")
    with pytest.raises(DatasetError, match=r"torn.jsonl.gz:1: cannot be read"):
        read_faq(tmp_path / "torn.jsonl.gz")


def test_a_row_and_a_file_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_rows(tmp_path / "faq.jsonl", ENTRY, ENTRY | {"id": "b"})
    monkeypatch.setattr(records, "MAX_ROWS", 1)
    with pytest.raises(DatasetError, match="more than 1 rows"):
        read_faq(path)
    monkeypatch.setattr(records, "MAX_LINE_CHARS", 10)
    with pytest.raises(DatasetError, match=r":1: the row is longer than 10 characters"):
        read_faq(path)
