from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from assistant.errors import DatasetError
from training.transcripts import read_corpus

pytestmark = pytest.mark.unit

CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
TRANSCRIPT = {
    "id": "1",
    "lang": "en",
    "source": "shop",
    "turns": [
        {"role": "agent", "text": "Welcome"},
        {"role": "customer", "text": "One"},
        {"role": "customer", "text": "Two", "intent": "x"},
        {"role": "agent", "text": "Three"},
        {"role": "agent", "text": "  "},
        {"role": "customer", "text": "Bye"},
    ],
    "meta": {},
}


def write(path: Path, *rows: object) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_both_shapes_are_read(tmp_path: Path, name: str) -> None:
    corpus = read_corpus(write(tmp_path / name, CHAT, "", TRANSCRIPT))
    assert [[message["content"] for message in item.messages] for item in corpus.conversations] == [
        ["Hi", "Hello!"],
        ["One\nTwo", "Three"],
    ]
    assert [message["role"] for message in corpus.conversations[1].messages] == ["user", "assistant"]


def test_a_rows_own_system_text_is_kept(tmp_path: Path) -> None:
    row = {"messages": [{"role": "system", "content": "Be brief."}, *CHAT["messages"]]}
    assert read_corpus(write(tmp_path / "a.jsonl", row, CHAT)).conversations[0].system == "Be brief."


def test_rows_without_an_answer_are_counted_and_left_out(tmp_path: Path) -> None:
    unanswered = {"turns": [{"role": "agent", "text": "Hi"}, {"role": "customer", "text": "Hello?"}]}
    corpus = read_corpus(write(tmp_path / "a.jsonl", unanswered, CHAT))
    assert (len(corpus.conversations), corpus.num_unanswered) == (1, 1)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{not json", "is not JSON"),
        ([1], "is list, not an object"),
        ({"text": "x"}, "neither messages nor turns"),
        ({"turns": "x"}, "are str, not a list"),
        ({"turns": ["x"]}, "turn 1 is str"),
        ({"turns": [{"role": "robot", "text": "x"}]}, "turn 1 has the role 'robot'.*customer, agent"),
        ({"turns": [{"role": "customer", "text": 5}]}, "turn 1 has no text"),
        ({"messages": [{"role": "user"}]}, "turn 1 has no content"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: object, problem: str) -> None:
    path = write(tmp_path / "a.jsonl", CHAT, row)
    with pytest.raises(DatasetError, match=rf"a.jsonl:2: .*{problem}"):
        read_corpus(path)


def test_a_file_without_conversations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no conversation"):
        read_corpus(write(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("name", ["missing.jsonl", "broken.jsonl.gz", "binary.jsonl"])
def test_an_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    if name != "missing.jsonl":
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=f"{name}:1: cannot be read"):
        read_corpus(tmp_path / name)
