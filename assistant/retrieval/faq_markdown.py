"""One Markdown file of the FAQ as entries.

A file is ``{language}/topic.md``: a ``# Topic`` line, then one ``## Question {#id}`` per entry, each
followed by an optional quote block of ``> key: value`` lines and the answer. Block structure comes
from markdown-it (CommonMark), so a ``## `` in a code block or a list starts no entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from assistant.errors import KnowledgeError
from assistant.retrieval.entries import Entry, derived_id, problem
from assistant.retrieval.markdown import Section, read_blocks
from assistant.retrieval.metadata import Metadata, read_metadata

_MARKED_ID = re.compile(r"(?P<question>.*?)\s*\{#(?P<id>[^{}]*)\}")
_LOOKS_LIKE_ID = re.compile(r"[{｛]\s*[#＃]")
_VALID_ID = re.compile(r"[^\W_][\w.-]{0,99}")


def read_faq(text: str, path: Path, source: Path, problems: list[KnowledgeError]) -> Iterator[tuple[Entry, int]]:
    """The entries of ``text``, each with the line of its heading; what is broken joins ``problems``.

    ``path`` names the file in messages, ``source`` in entries.
    """
    blocks = read_blocks(text)
    problems.extend(problem(path, line, cause, fix) for line, cause, fix in blocks.problems)
    for section in blocks.sections:
        try:
            yield _read_entry(section, text, path, source), section.line
        except KnowledgeError as error:
            problems.append(error)


def _read_entry(section: Section, text: str, path: Path, source: Path) -> Entry:
    question, marked_id = _split_heading(section.heading, path, section.line)
    if not question:
        raise problem(path, section.line, "the entry has no question", "Write one after '## '.")
    metadata = _metadata_of(section, text, path)
    answer = text[metadata.end : section.end].rstrip()
    start = metadata.end + _blank_lines_length(answer)
    if not answer.strip():
        raise problem(
            path, section.line, f"{question!r} has no answer", "Write one below the question and its '>' lines."
        )
    return Entry(
        id=marked_id or _id_of(question, source, path, section.line),
        lang=source.parts[0],
        topic=section.topic or source.stem,
        question=question,
        wordings=metadata.wordings,
        answer=text[start : metadata.end + len(answer)],
        tags=metadata.tags,
        review=metadata.review,
        source=source.as_posix(),
        source_start=start,
        source_end=metadata.end + len(answer),
    )


def _split_heading(heading: str, path: Path, line: int) -> tuple[str, str]:
    """Question and explicit id, which is empty where the heading has none."""
    if not _LOOKS_LIKE_ID.search(heading):
        return heading.strip(), ""
    match = _MARKED_ID.fullmatch(heading.strip())
    if match is None or not _VALID_ID.fullmatch(match["id"]):
        raise problem(
            path,
            line,
            f"the id in {heading!r} cannot be read",
            "Write it as {#letters-and-digits} at the end of the heading, with half-width brackets.",
        )
    return match["question"].strip(), match["id"]


def _metadata_of(section: Section, text: str, path: Path) -> Metadata:
    metadata = read_metadata(text, section.start, section.end, section.line + 1)
    if metadata.problem:
        raise problem(path, *metadata.problem)
    return metadata


def _blank_lines_length(text: str) -> int:
    """How many characters the blank lines take that ``text`` begins with."""
    blank = re.match(r"(?:[^\S\n]*\n)*", text)
    return blank.end() if blank else 0


def _id_of(question: str, source: Path, path: Path, line: int) -> str:
    made = derived_id(question, source.with_suffix("").as_posix())
    if not made:
        raise problem(path, line, f"no id can be made of {question!r}", "Add one: ## Question {#some-id}.")
    return made
