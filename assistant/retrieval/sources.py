r"""The knowledge base as entries: which files are read, and by whom.

Under ``{language}/`` lie FAQ topics (``*.md``), tables and rows (``*.csv``, ``*.jsonl``, ``*.jsonl.gz``) and documents
(``*.html``, ``*.pdf``, ``*.docx``, and ``*.md`` in a folder ``documents``). Rows that name their language may lie
beside the language folders, or be the whole knowledge base in one file. The folder ``cases`` is for test cases.

Offsets count code points of the text that `read_source` returns.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from assistant.errors import KnowledgeError
from assistant.faults import report
from assistant.retrieval.documents import DOCUMENT_SUFFIXES, read_document
from assistant.retrieval.entries import LANGUAGE, Entry, EntryKey, Knowledge, problem
from assistant.retrieval.faq_markdown import read_faq
from assistant.retrieval.files import read_text, unreadable
from assistant.retrieval.rows import entry_of, is_row_file, language_of, read_rows
from assistant.retrieval.sections import read_sections

__all__ = ["MAX_FILE_BYTES", "Entry", "EntryKey", "Knowledge", "load_knowledge", "read_source"]

MAX_FILE_BYTES = 1_048_576
"""How large a Markdown file of the FAQ may be; rows and documents have limits of their own."""

DOCUMENTS = "documents"
CASES = "cases"
SAVE_AS = {
    ".doc": ".docx",
    ".odt": ".docx",
    ".rtf": ".docx",
    ".ppt": ".pdf",
    ".pptx": ".pdf",
    ".xls": ".csv",
    ".xlsx": ".csv",
    ".ods": ".csv",
    ".json": ".jsonl, one row a line",
    ".txt": ".md in a folder documents",
    ".markdown": ".md",
}
"""Files that somebody means as knowledge but that are not read, and what to save them as."""


@dataclass
class Reading:
    """What was found in some files: entries with the place they were read at, removals, and what is wrong."""

    entries: dict[EntryKey, tuple[Entry, str]] = field(default_factory=dict)
    removed: set[EntryKey] = field(default_factory=set)
    problems: list[KnowledgeError] = field(default_factory=list)


def load_knowledge(root: Path, *, tenant: str = "") -> Knowledge:
    """Read every file of the folder ``root``, or the one file that it is; what is broken becomes one problem each.

    Raises `KnowledgeError` if ``root`` is neither or holds no entry at all.
    """
    reading = read_root(root, tenant=tenant)
    if not reading.entries:
        raise nothing_found(root, reading.problems)
    return Knowledge.of((entry for entry, _ in reading.entries.values()), reading.problems)


def read_source(path: Path) -> str:
    r"""The text that entries' offsets refer to. Raises `KnowledgeError` where it cannot be read.

    Markdown as it stands, UTF-8 decoded, without byte order mark, with ``\n`` as the only line end; of rows the
    questions and answers, one below the other; of HTML, PDF and Word files the extracted text, with headings marked
    as in Markdown.
    """
    if is_row_file(path):
        return read_rows(path).text
    if path.suffix.lower() in DOCUMENT_SUFFIXES or DOCUMENTS in path.parts:
        return read_document(path).text
    return read_text(path, max_bytes=MAX_FILE_BYTES)


def read_root(root: Path, *, tenant: str = "") -> Reading:
    """Everything under ``root``. Raises `KnowledgeError` if it is neither a folder nor a file of rows."""
    if root.is_file() and is_row_file(root):
        return read_files([root], root.parent, tenant=tenant)
    if not root.is_dir():
        raise KnowledgeError(
            f"The knowledge base {root} is not a folder, nor a .jsonl or .csv file.",
            fix="Set [knowledge] root to the folder that holds en/*.md and zh/*.md.",
        )
    problems: list[KnowledgeError] = []
    reading = read_files(list_files(root, problems), root, tenant=tenant)
    reading.problems[:0] = problems
    return reading


def list_files(root: Path, problems: list[KnowledgeError]) -> Iterator[Path]:
    """Every file under ``root`` that is meant as knowledge, in a fixed order."""

    def cannot_list(error: OSError) -> None:
        problems.append(unreadable(Path(error.filename), error))

    for folder, subfolders, names in os.walk(root, onerror=cannot_list):
        is_root = Path(folder) == root
        subfolders[:] = sorted(name for name in subfolders if name[0] != "." and not (is_root and name == CASES))
        for path in (Path(folder) / name for name in sorted(names) if name[0] not in ".~"):
            # A README beside the language folders is no knowledge.
            if is_row_file(path) or (not is_root and path.suffix.lower() in (".md", *DOCUMENT_SUFFIXES, *SAVE_AS)):
                yield path


def read_files(paths: Iterable[Path], root: Path, *, tenant: str = "", prefix: str = "") -> Reading:
    """Read these files; entries name them by their place under ``root`` with ``prefix`` before it.

    Whatever goes wrong with one is a problem of this file alone.
    """
    reading = Reading()
    for path in paths:
        try:
            _check_name(path)
            for entry, line in _read_file(path, path.relative_to(root), tenant, reading):
                named = replace(entry, tenant=tenant, source=prefix + entry.source)
                _keep(named, line, path, reading)
        except KnowledgeError as error:
            reading.problems.append(error)
        except Exception as error:  # readers are other people's code too, and one file must not stop the others
            report("knowledge.reader_broken", error, suffix=path.suffix)
            reading.problems.append(_unexpected(path, error))
    return reading


def nothing_found(root: Path, problems: list[KnowledgeError]) -> KnowledgeError:
    """There is not one entry."""
    first = f" The first of {len(problems)} problems: {problems[0]}" if problems else ""
    return KnowledgeError(
        f"The knowledge base {root} holds no entry.{first}",
        fix="Add a file such as en/returns.md with '# Returns' and '## How do I return an item?' and an answer.",
    )


def _check_name(path: Path) -> None:
    """Entries are called after their file, and what they are called has to be text."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = Path(os.fsencode(path).decode("utf-8", "backslashreplace"))
        raise problem(shown, None, "its name is not UTF-8", "Give it another one.") from error


def _unexpected(path: Path, error: Exception) -> KnowledgeError:
    cause = f"it cannot be read ({type(error).__name__})"
    return problem(path, None, cause, "Save it again, or in another format; the other files were read.")


def _read_file(path: Path, source: Path, tenant: str, reading: Reading) -> Iterator[tuple[Entry, int]]:
    """The file's entries, each with its line (0 where the format has none)."""
    folder = source.parts[0] if len(source.parts) > 1 else ""
    if folder and not LANGUAGE.fullmatch(folder):
        raise _wrong_folder(path, folder)
    if is_row_file(path):
        yield from _row_entries(path, source, folder, tenant, reading)
    elif (suffix := path.suffix.lower()) in SAVE_AS:
        raise problem(path, None, f"{suffix} files are not read", f"Save it as {SAVE_AS[suffix]}, or remove it.")
    elif suffix in DOCUMENT_SUFFIXES or DOCUMENTS in source.parts:
        yield from ((entry, 0) for entry in _document_entries(path, source))
    else:
        yield from read_faq(read_text(path, max_bytes=MAX_FILE_BYTES), path, source, reading.problems)


def _document_entries(path: Path, source: Path) -> list[Entry]:
    entries = list(read_sections(read_document(path), source))
    if not entries:
        raise problem(path, None, "the document has no text", "Write some, or remove the file.")
    return entries


def _row_entries(path: Path, source: Path, folder: str, tenant: str, reading: Reading) -> Iterator[tuple[Entry, int]]:
    rows = read_rows(path)
    reading.problems.extend(rows.problems)
    for placed in rows.rows:
        try:
            if placed.row.removed:
                key = EntryKey(tenant, language_of(placed, path, folder), placed.row.id or "")
                reading.removed.add(key)
            else:
                yield entry_of(placed, path, source.as_posix(), folder), placed.line
        except KnowledgeError as error:
            reading.problems.append(error)


def _keep(entry: Entry, line: int, path: Path, reading: Reading) -> None:
    if entry.key not in reading.entries:
        reading.entries[entry.key] = (entry, f"{path}:{line}" if line else str(path))
        return
    cause = f"the id {entry.id!r} is taken by {reading.entries[entry.key][1]}"
    reading.problems.append(problem(path, line, cause, "Give one of the two another id."))


def _wrong_folder(path: Path, folder: str) -> KnowledgeError:
    return KnowledgeError(
        f"{path}: the folder {folder!r} is not a language code of two letters.",
        fix="Move the file to en/, zh/ or another ISO 639-1 code.",
    )
