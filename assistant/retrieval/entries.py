"""What the knowledge base consists of: entries, the problems met on the way, and the ids both are known by."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from assistant.errors import KnowledgeError
from assistant.values import PassageKind

MAX_SLUG_CHARS = 80
MOST_ALIKE = 2
LANGUAGE = re.compile(r"[a-z]{2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One question of the FAQ with its other wordings and its answer, or one section of a document.

    ``answer`` is ``read_source(root / source)[source_start:source_end]``. ``id`` is unique within a tenant
    and language; an entry of the same id in another language is its twin. A section's question is the path
    of its headings.
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

    @property
    def key(self) -> EntryKey:
        """What tells it from every other entry."""
        return EntryKey(self.tenant, self.lang, self.id)


class EntryKey(NamedTuple):
    """An entry's name among those of all tenants."""

    tenant: str
    lang: str
    id: str


@dataclass(frozen=True)
class Knowledge:
    """All entries that could be read, and what is wrong with the others.

    ``content_hash`` changes when any entry changes; it says whether an index is current.
    """

    entries: tuple[Entry, ...]
    problems: tuple[KnowledgeError, ...]
    content_hash: str

    @classmethod
    def of(cls, entries: Iterable[Entry], problems: Iterable[KnowledgeError]) -> Knowledge:
        """The knowledge of these entries; where several have one question, it is a title and they are its sections."""
        entries = _with_sections(tuple(entries))
        return cls(entries, tuple(problems), _hash(entries))


_values = attrgetter(*(field.name for field in fields(Entry)))  # `asdict` copies, which takes ten times as long


def problem(path: Path, line: int | None, cause: str, fix: str) -> KnowledgeError:
    """What is wrong in a file, at a line where there are lines."""
    return KnowledgeError(f"{path}:{line}: {cause}." if line else f"{path}: {cause}.", fix=fix)


def derived_id(question: str, source: str) -> str:
    """An id made of place and question, ``en/returns#how-do-i-return``; empty if the question has no letters."""
    slug = re.sub(r"[\W_]+", "-", question.casefold()).strip("-")[:MAX_SLUG_CHARS].rstrip("-")
    return f"{source}#{slug}" if slug else ""


def _with_sections(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Weighed as questions, paragraphs with a common title were found in 0.92 instead of 0.97 (XQuAD, English)."""
    titles = Counter((entry.tenant, entry.lang, entry.question) for entry in entries)
    return tuple(
        replace(entry, kind="document") if titles[entry.tenant, entry.lang, entry.question] > MOST_ALIKE else entry
        for entry in entries
    )


def _hash(entries: tuple[Entry, ...]) -> str:
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.key):
        digest.update(json.dumps(_values(entry), default=date.isoformat, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
