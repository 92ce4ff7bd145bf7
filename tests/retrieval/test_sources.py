"""Markdown files as entries, and what is said about files that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assistant.errors import KnowledgeError
from assistant.retrieval.sources import MAX_FILE_BYTES, Knowledge, load_knowledge, read_source

pytestmark = pytest.mark.unit

GOOD = "# Good\n\n## Is this fine? {#fine}\n\nYes.\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], Knowledge]:
    """What is read from one English file that stands beside a good one."""

    def write(content: str | bytes) -> Knowledge:
        folder = tmp_path / "en"
        folder.mkdir(exist_ok=True)
        data = content.encode("utf-8") if isinstance(content, str) else content
        (folder / "topic.md").write_bytes(data)
        (folder / "z_good.md").write_text(GOOD, encoding="utf-8")
        return load_knowledge(tmp_path)

    return write


def only_problem(knowledge: Knowledge) -> str:
    assert [entry.id for entry in knowledge.entries if entry.source == "en/z_good.md"] == ["fine"]
    (problem,) = knowledge.problems
    assert problem.fix
    return str(problem)


def test_english_and_chinese_entries_are_read_with_all_their_parts(knowledge: Knowledge) -> None:
    assert knowledge.problems == ()
    found = {(entry.lang, entry.id): entry for entry in knowledge.entries}
    english, chinese = found["en", "return-item"], found["zh", "return-item"]
    assert (english.question, english.topic) == ("How do I return an item?", "Returns")
    assert english.wordings == ("How can I send something back?",)
    assert english.tags == ("returns", "steps")
    assert english.review == chinese.review == date(2027, 6, 1)
    assert english.answer == "Log in and choose **Return**.\n\n1. Print the label.\n2. Post the parcel."
    assert (chinese.wordings, chinese.tags) == (("我想把东西退回去",), ("退货", "步骤"))
    assert chinese.source == "zh/returns.md"


@pytest.mark.parametrize(("ending", "mark"), [("\n", b""), ("\r\n", b""), ("\r", b""), ("\r\n", b"\xef\xbb\xbf")])
def test_line_ends_and_a_byte_order_mark_change_neither_answers_nor_offsets(
    root: Path, knowledge: Knowledge, ending: str, mark: bytes
) -> None:
    path = root / "en" / "returns.md"
    path.write_bytes(mark + path.read_text(encoding="utf-8").replace("\n", ending).encode())
    assert load_knowledge(root).entries == knowledge.entries


def test_offsets_point_at_the_answer_in_the_source(root: Path, knowledge: Knowledge) -> None:
    for entry in knowledge.entries:
        text = read_source(root / entry.source)
        assert text[entry.source_start : entry.source_end] == entry.answer


def test_a_heading_in_a_code_block_a_comment_or_a_list_starts_no_entry(read: Callable[..., Knowledge]) -> None:
    answer = "```\n## not an entry\n```\n\n<!--\n## neither\n-->\n\n- a list\n\n  ## nor this"
    knowledge = read(f"# T\n\n## One? {{#one}}\n\n{answer}\n\n## Two? {{#two}}\nYes\n---\nstill two")
    assert {entry.id: entry.answer for entry in knowledge.entries if entry.id != "fine"} == {
        "one": answer,
        "two": "Yes\n---\nstill two",
    }


def test_an_answer_may_follow_its_metadata_without_an_empty_line(read: Callable[..., Knowledge]) -> None:
    (entry, _) = read("# T\n## One? {#one}\n> also: Uno?\n>\nAn answer.\n\n> with a quote: here\n").entries
    assert entry.wordings == ("Uno?",)
    assert entry.answer == "An answer.\n\n> with a quote: here"


def test_an_entry_without_an_id_gets_one_from_its_place_and_question(read: Callable[..., Knowledge]) -> None:
    knowledge = read("# T\n\n## What's *this*, then?\n\nA.\n\n## 如何退货？\n\nB.\n")
    assert [entry.id for entry in knowledge.entries[:2]] == ["en/topic#what-s-this-then", "en/topic#如何退货"]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("# T\n## Q? {#has space}\nA\n", 2, "{#letters-and-digits}"),
        ("# T\n## Q? {#}\nA\n", 2, "{#letters-and-digits}"),
        ("# T\n## Q? {#id} more\nA\n", 2, "{#letters-and-digits}"),
        ("# T\n## Q? ｛#id｝\nA\n", 2, "half-width"),
        ("# T\n## Q? {#q}\n> tag: x\nA\n", 3, "Did you mean 'tags'?"),
        ("# T\n## Q? {#q}\n> 又说：x\nA\n", 3, "Did you mean '又问'?"),
        ("# T\n## Q? {#q}\n\n> also: x\n> just a quote\nA\n", 5, "is not 'key: value'"),
        ("# T\n## Q? {#q}\n> also:\nA\n", 3, "has no value"),
        ("# T\n## Q? {#q}\n> review: 2027-02-30\nA\n", 3, "'2027-02-30' is not a date"),
        ("# T\n## Q? {#q}\n> review: 20270601\nA\n", 3, "year-month-day"),
        ("# T\n## {#q}\nA\n", 2, "has no question"),
        ("# T\n##\nA\n", 2, "has no question"),
        ("# T\n## ???\nA\n", 2, "no id can be made of '???'"),
        ("# T\n## Q? {#q}\n> also: x\n\n\n", 2, "'Q?' has no answer"),
        ("# T\n\nOnly text.\n", 1, "has no '## ' heading"),
        ("# T\n## Q? {#q}\nA\n\n```\n## lost? {#lost}\nB\n", 5, "the code block is never closed"),
        ("# T\n## Q? {#q}\nA\n\n<!-- draft\n## lost? {#lost}\nB\n", 5, "the comment is never closed"),
        (b"# T\n## Q? {#q}\nA \xff\n", 3, "byte 0xff is not UTF-8"),
    ],
)
def test_a_broken_entry_is_one_problem_with_its_line_and_the_rest_is_read(
    read: Callable[..., Knowledge], content: str | bytes, line: int, said: str
) -> None:
    knowledge = read(content)
    message = only_problem(knowledge)
    assert f"topic.md:{line}: " in message
    assert said in message
    assert len(knowledge.entries) == 1


def test_an_entry_before_any_title_is_a_problem_but_is_read(read: Callable[..., Knowledge]) -> None:
    knowledge = read("## Q? {#q}\nA\n")
    assert "topic.md:1: an entry stands before any '# ' heading" in only_problem(knowledge)
    assert knowledge.entries[0].topic == "topic"


def test_a_broken_entry_does_not_take_its_neighbours_along(read: Callable[..., Knowledge]) -> None:
    knowledge = read("# T\n## A? {#a}\nA\n## B? {#b}\n> nonsense: 1\nB\n## C? {#c}\nC\n")
    assert [entry.id for entry in knowledge.entries] == ["a", "c", "fine"]
    assert "topic.md:5: " in only_problem(knowledge)


def test_an_id_used_twice_in_a_language_names_both_places(root: Path) -> None:
    (root / "en" / "other.md").write_text("# Other\n\n## Again? {#return-cost}\nA\n", encoding="utf-8")
    knowledge = load_knowledge(root)
    (problem,) = knowledge.problems
    assert "en/returns.md:13: the id 'return-cost' is taken by" in str(problem)
    assert "en/other.md:3." in str(problem)
    assert len(knowledge.entries) == 6


def test_a_file_that_is_too_large_is_named_with_the_limit(read: Callable[..., Knowledge]) -> None:
    message = only_problem(read(b"x" * (MAX_FILE_BYTES + 1)))
    assert str(MAX_FILE_BYTES + 1) in message
    assert str(MAX_FILE_BYTES) in message


def test_what_cannot_be_read_as_a_file_is_a_problem(root: Path) -> None:
    (root / "en" / "gone.md").symlink_to(root / "nowhere.md")
    (problem,) = load_knowledge(root).problems
    assert "gone.md: it cannot be read: No such file" in str(problem)


def test_a_folder_that_is_no_language_is_a_problem(root: Path) -> None:
    (root / "chinese").mkdir()
    (root / "chinese" / "returns.md").write_text(GOOD, encoding="utf-8")
    (problem,) = load_knowledge(root).problems
    assert "'chinese' is not a language code" in str(problem)


def test_files_beside_the_languages_are_no_knowledge(root: Path) -> None:
    (root / "README.md").write_text("# How to write an entry\n", encoding="utf-8")
    assert load_knowledge(root).problems == ()


def test_a_missing_root_says_which_setting_to_correct(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"nowhere is not a folder.*\[knowledge\] root"):
        load_knowledge(tmp_path / "nowhere")


def test_a_root_without_entries_names_the_first_problem(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="holds no entry"):
        load_knowledge(tmp_path)
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "a.md").write_text("# T\n## Q? {#q}\n", encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"a\.md:2: 'Q\?' has no answer"):
        load_knowledge(tmp_path)


def test_the_content_hash_changes_with_any_entry_and_with_nothing_else(root: Path, knowledge: Knowledge) -> None:
    assert load_knowledge(root).content_hash == knowledge.content_hash
    path = root / "en" / "returns.md"
    path.write_text(path.read_text(encoding="utf-8").replace("30 days", "31 days"), encoding="utf-8")
    assert load_knowledge(root).content_hash != knowledge.content_hash


HEADINGS = ["## Q? {#q}", "##", "# T", "  ## in", "---"]
PIECES = st.sampled_from([*HEADINGS, "> also: x", "> ", ">tags:a,b", "```", "~~~", "<!--", "-->", "- a", "\t", " "])
NOISE = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\u2028", "\x0b", "\x85"])


@given(st.lists(st.tuples(PIECES | NOISE, ENDS), max_size=25))
@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_offsets_reproduce_every_answer_of_any_file(tmp_path: Path, pieces: list[tuple[str, str]]) -> None:
    folder = tmp_path / "en"
    folder.mkdir(exist_ok=True)
    text = "# T\n## First? {#first}\nAn answer.\n" + "".join(piece + end for piece, end in pieces)
    (folder / "topic.md").write_bytes(text.encode("utf-8"))
    (folder / "z_good.md").write_text(GOOD, encoding="utf-8")
    source = read_source(folder / "topic.md")
    for entry in load_knowledge(tmp_path).entries:
        if entry.source == "en/topic.md":
            assert source[entry.source_start : entry.source_end] == entry.answer
            assert entry.answer.strip()
            assert entry.question
