"""The ``> key: value`` lines below an entry's question."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

KEYS = {"also": "also", "tags": "tags", "review": "review", "又问": "also", "标签": "tags", "复核": "review"}
"""Every key that may be written, and the one it means."""

_QUOTE = re.compile(r" {0,3}>[ \t]?(?P<content>.*)")
_PAIR = re.compile(r"(?P<key>[^:：]*?)\s*[:：]\s*(?P<value>.*)")
_LIST_SEPARATOR = re.compile(r"[,，、;；]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the lines say; ``end`` is the offset after them, ``problem`` the first line that is wrong."""

    end: int
    wordings: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    review: date | None = None
    problem: tuple[int, str, str] | None = None


def read_metadata(text: str, start: int, end: int, line: int) -> Metadata:
    """Read the first quote block of ``text[start:end]``, if nothing stands before it.

    ``line`` is the number of the line at ``start``, for messages. Lines are taken as they stand:
    a Markdown parser would count an answer without an empty line before it to the quote.
    """
    wordings: list[str] = []
    tags: list[str] = []
    review: date | None = None
    after = start
    for number, content, after in _quoted_lines(text, start, end, line):
        if not content:
            continue
        try:
            key, value = _split(content)
            if key == "also":
                wordings.append(value)
            elif key == "tags":
                tags += [tag for part in _LIST_SEPARATOR.split(value) if (tag := part.strip())]
            else:
                review = _date(value)
        except _Refused as refused:
            return Metadata(after, problem=(number, refused.cause, refused.fix))
    return Metadata(after, tuple(wordings), tuple(dict.fromkeys(tags)), review)


class _Refused(Exception):
    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix


def _quoted_lines(text: str, start: int, end: int, line: int) -> Iterator[tuple[int, str, int]]:
    """Number, content and the offset after, of each line of the quote block."""
    began = False
    for number, raw in enumerate(text[start:end].split("\n"), line):
        start = min(start + len(raw) + 1, end)
        match = _QUOTE.fullmatch(raw)
        if match:
            began = True
            yield number, match["content"].strip(), start
        elif began or raw.strip():
            return


def _split(content: str) -> tuple[str, str]:
    """The key's meaning and the value."""
    match = _PAIR.fullmatch(content)
    if match is None:
        raise _Refused(
            f"{content!r} is not 'key: value'",
            "Known keys: " + ", ".join(KEYS) + ". Let words stand before a quote that belongs to the answer.",
        )
    key, value = match["key"].strip().lower(), match["value"].strip()
    if key not in KEYS:
        nearest = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else "Known keys: " + ", ".join(KEYS) + "."
        raise _Refused(f"the key {match['key']!r} is unknown", hint)
    if not value:
        raise _Refused(f"the key {match['key']!r} has no value", "Write one, or remove the line.")
    return KEYS[key], value


def _date(value: str) -> date:
    try:
        if not _DATE.fullmatch(value):
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError as error:
        raise _Refused(f"{value!r} is not a date", "Write year-month-day, such as 2027-06-01.") from error
