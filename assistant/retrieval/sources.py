r"""The FAQ as entries, read from Markdown files.

A file is ``{language}/topic.md``: a ``# Topic`` line, then one ``## Question {#id}`` per entry, each
followed by an optional quote block of ``> key: value`` lines and the answer. Block structure comes
from markdown-it (CommonMark), so a ``## `` in a code block or a list starts no entry.

Offsets count code points of the text that `read_source` returns: UTF-8 decoded, without its byte
order mark, with ``\n`` as the only line end.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from assistant.errors import KnowledgeError
from assistant.retrieval.markdown import Section, read_blocks
from assistant.retrieval.metadata import Metadata, read_metadata
from assistant.values import PassageKind

MAX_FILE_BYTES = 1_048_576

_LANGUAGE = re.compile(r"[a-z]{2}")
_MARKED_ID = re.compile(r"(?P<question>.*?)\s*\{#(?P<id>[^{}]*)\}")
_LOOKS_LIKE_ID = re.compile(r"[{｛]\s*[#＃]")
_VALID_ID = re.compile(r"[^\W_][\w.-]{0,99}")
_MAX_SLUG_CHARS = 80


@dataclass(frozen=True, slots=True)
class Entry:
    """One question of the FAQ with its other wordings and its answer.

    ``answer`` is ``read_source(root / source)[source_start:source_end]``. ``id`` is unique within a
    language; an entry of the same id in another language is its twin.
    """

    id: str
    lang: str
    topic: str
    question: str
    wordings: tuple[str, ...]
    answer: str
    tags: tuple[str, ...]
    review: date | None
    source: str
    source_start: int
    source_end: int
    tenant: str = ""
    kind: PassageKind = "faq"


@dataclass(frozen=True)
class Knowledge:
    """All entries that could be read, and what is wrong with the others.

    ``content_hash`` changes when any entry changes; it says whether an index is current.
    """

    entries: tuple[Entry, ...]
    problems: tuple[KnowledgeError, ...]
    content_hash: str


def load_knowledge(root: Path) -> Knowledge:
    """Read every ``{language}/**/*.md`` under ``root``; what is broken becomes one problem each.

    Raises `KnowledgeError` if ``root`` is no folder or holds no entry at all.
    """
    if not root.is_dir():
        raise KnowledgeError(
            f"The knowledge base {root} is not a folder.",
            fix="Set [knowledge] root to the folder that holds en/*.md and zh/*.md.",
        )
    problems: list[KnowledgeError] = []
    entries: dict[tuple[str, str], tuple[Entry, int]] = {}
    for path in _markdown_files(root, problems):
        for entry, line in _read_file(path, root, problems):
            _keep(entry, line, root, entries, problems)
    if not entries:
        raise _nothing_found(root, problems)
    found = tuple(entry for entry, _ in entries.values())
    return Knowledge(found, tuple(problems), _hash(found))


def read_source(path: Path) -> str:
    """The text that entries' offsets refer to. Raises `OSError` and `UnicodeDecodeError`."""
    text = path.read_bytes().decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _markdown_files(root: Path, problems: list[KnowledgeError]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        problems.append(_unreadable(Path(error.filename), error))

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if Path(folder) == root:
            continue  # a README beside the language folders is no knowledge
        yield from (Path(folder) / name for name in sorted(names) if name.endswith(".md") and name[0] != ".")


def _read_file(path: Path, root: Path, problems: list[KnowledgeError]) -> Iterator[tuple[Entry, int]]:
    """The file's entries, each with the line of its heading."""
    source = path.relative_to(root)
    if not _LANGUAGE.fullmatch(source.parts[0]):
        problems.append(_wrong_folder(path, source.parts[0]))
        return
    try:
        text = _read_within_limit(path)
    except KnowledgeError as error:
        problems.append(error)
        return
    blocks = read_blocks(text)
    problems.extend(_problem(path, line, cause, fix) for line, cause, fix in blocks.problems)
    for section in blocks.sections:
        try:
            yield _read_entry(section, text, path, source), section.line
        except KnowledgeError as error:
            problems.append(error)


def _read_within_limit(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise KnowledgeError(
                f"{path}: the file has {size} bytes; the limit is {MAX_FILE_BYTES}.",
                fix="Split it into several topics.",
            )
        return read_source(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _problem(
            path, line, f"byte 0x{error.object[error.start]:02x} is not UTF-8", "Save the file as UTF-8."
        ) from error


def _read_entry(section: Section, text: str, path: Path, source: Path) -> Entry:
    question, marked_id = _split_heading(section.heading, path, section.line)
    if not question:
        raise _problem(path, section.line, "the entry has no question", "Write one after '## '.")
    metadata = _metadata_of(section, text, path)
    answer = text[metadata.end : section.end].rstrip()
    start = metadata.end + _blank_lines_length(answer)
    if not answer.strip():
        raise _problem(
            path, section.line, f"{question!r} has no answer", "Write one below the question and its '>' lines."
        )
    return Entry(
        id=marked_id or _derived_id(question, source, path, section.line),
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
        raise _problem(
            path,
            line,
            f"the id in {heading!r} cannot be read",
            "Write it as {#letters-and-digits} at the end of the heading, with half-width brackets.",
        )
    return match["question"].strip(), match["id"]


def _metadata_of(section: Section, text: str, path: Path) -> Metadata:
    metadata = read_metadata(text, section.start, section.end, section.line + 1)
    if metadata.problem:
        raise _problem(path, *metadata.problem)
    return metadata


def _blank_lines_length(text: str) -> int:
    """How many characters the blank lines take that ``text`` begins with."""
    blank = re.match(r"(?:[^\S\n]*\n)*", text)
    return blank.end() if blank else 0


def _derived_id(question: str, source: Path, path: Path, line: int) -> str:
    slug = re.sub(r"[\W_]+", "-", question.casefold()).strip("-")[:_MAX_SLUG_CHARS].rstrip("-")
    if not slug:
        raise _problem(path, line, f"no id can be made of {question!r}", "Add one: ## Question {#some-id}.")
    return f"{source.with_suffix('').as_posix()}#{slug}"


def _keep(
    entry: Entry,
    line: int,
    root: Path,
    entries: dict[tuple[str, str], tuple[Entry, int]],
    problems: list[KnowledgeError],
) -> None:
    key = (entry.lang, entry.id)
    if key not in entries:
        entries[key] = (entry, line)
        return
    first, first_line = entries[key]
    problems.append(
        _problem(
            root / entry.source,
            line,
            f"the id {entry.id!r} is taken by {root / first.source}:{first_line}",
            "Give one of the two another {#id}.",
        )
    )


def _problem(path: Path, line: int, cause: str, fix: str) -> KnowledgeError:
    return KnowledgeError(f"{path}:{line}: {cause}.", fix=fix)


def _unreadable(path: Path, error: OSError) -> KnowledgeError:
    return KnowledgeError(f"{path}: it cannot be read: {error.strerror}.", fix="Make it a readable file, or remove it.")


def _wrong_folder(path: Path, folder: str) -> KnowledgeError:
    return KnowledgeError(
        f"{path}: the folder {folder!r} is not a language code of two letters.",
        fix="Move the file to en/, zh/ or another ISO 639-1 code.",
    )


def _nothing_found(root: Path, problems: list[KnowledgeError]) -> KnowledgeError:
    first = f" The first of {len(problems)} problems: {problems[0]}" if problems else ""
    return KnowledgeError(
        f"The knowledge base {root} holds no entry.{first}",
        fix="Add a file such as en/returns.md with '# Returns' and '## How do I return an item?' and an answer.",
    )


def _hash(entries: tuple[Entry, ...]) -> str:
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: (entry.lang, entry.id)):
        digest.update(json.dumps(asdict(entry), default=date.isoformat, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
