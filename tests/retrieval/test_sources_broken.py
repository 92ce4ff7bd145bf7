"""Whatever a file holds, the others are read: each reader with damaged files, and readers that break themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from assistant.retrieval import sources
from assistant.retrieval.sources import load_knowledge
from tests.retrieval.made_files import Print, make_docx, make_pdf, paragraph, table

pytestmark = pytest.mark.unit

GOOD = "# Good\n\n## Is this fine? {#fine}\n\nYes.\n"
TEXT = "You can send things back within 30 days of delivery."
PAGE = (
    f"<html><head><title>T</title></head><body><h1>A</h1><p>{TEXT}</p><!-- c --><![CDATA[x]]><ul><li>a</ul><pre>p</pre>"
)
FILES = {
    "faq.md": b"# T\n\n## Q? {#q}\n> also: x\n> review: 2027-01-01\n\nA\n\n```\nx\n```\n",
    "documents/text.md": b"---\ntitle: x\n---\n# T\n\n## A\n\nText.\n\n| a | b |\n|---|---|\n",
    "rows.jsonl": b'{"id": "a", "question": "Q?", "answer": "A"}\n{"question": "Q2?", "answers": ["A"]}\n',
    "table.csv": b'question,answer,id,tags\n"Q one?","A, one",x,"a;b"\nQ2?,A2,y,\n',
    "page.html": PAGE.encode(),
    "print.pdf": make_pdf([[Print("Title", 780, 20), Print(TEXT, 700)], [Print("More", 700)]]),
    "letter.docx": make_docx(paragraph("Hello", "1"), paragraph(TEXT), table(["a", "b"], ["c", "d"])),
}
PIECES = (b"<![", b"<!", b"]]>", b"[", b"%", b"\x00", b"&#", b"<", b'"', b"\xff\xfe", b"\r", b"{", b"9" * 30, b"--")
Damage = list[tuple[float, bytes | int]]


def damaged(data: bytes, damage: Damage) -> bytes:
    """With pieces put in and stretches (a number of bytes) left out, each at a share of its length."""
    for place, change in damage:
        start = int(place * len(data))
        data = (
            data[:start] + change + data[start:] if isinstance(change, bytes) else data[:start] + data[start + change :]
        )
    return data


DAMAGE: st.SearchStrategy[Damage] = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(PIECES) | st.binary(min_size=1, max_size=6) | st.integers(1, 40)),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("name", FILES)
@given(damage=DAMAGE)
@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_file_is_read_or_is_a_problem_that_its_reader_knows(
    tmp_path: Path, name: str, damage: Damage
) -> None:
    folder = tmp_path / "en"
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    (folder / "z_good.md").write_text(GOOD, encoding="utf-8")
    (folder / name).write_bytes(damaged(FILES[name], damage))
    with capture_logs() as logged:
        knowledge = load_knowledge(tmp_path)
    assert "fine" in {entry.id for entry in knowledge.entries}
    assert all(problem.fix for problem in knowledge.problems)
    assert logged == []  # what its reader did not expect would be reported


def test_a_reader_that_breaks_costs_its_own_file_only_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> object:
        raise TypeError("what the file says")

    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "a.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "en" / "b.md").write_text(GOOD, encoding="utf-8")
    monkeypatch.setattr(sources, "read_document", broken)
    with capture_logs() as logged:
        knowledge = load_knowledge(tmp_path)
    assert [entry.id for entry in knowledge.entries] == ["fine"]
    (problem,) = knowledge.problems
    assert "a.html: it cannot be read (TypeError)" in str(problem)
    assert [(line["event"], line["error"]) for line in logged] == [("knowledge.reader_broken", "TypeError")]
    assert "what the file says" not in str(logged)


def test_a_file_whose_name_is_no_text_is_a_problem_that_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "b.md").write_text(GOOD, encoding="utf-8")
    with open(os.fsencode(tmp_path / "en") + b"/caf\xe9.md", "wb") as file:
        file.write(GOOD.replace("fine", "other").encode())
    knowledge = load_knowledge(tmp_path)
    assert [entry.id for entry in knowledge.entries] == ["fine"]
    (problem,) = knowledge.problems
    assert "caf\\xe9.md: its name is not UTF-8" in str(problem).encode().decode()
