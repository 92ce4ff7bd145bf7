"""What a conversation is about: one named thing among many of which the FAQ says the same.

A company with forty branches has forty entries "Opening hours of ...". Who was just told about one branch and asks "and
when do you open?" means that one. The names are learnt from the entries: titles that are alike but for one stretch
(or are the same and differ in a tag) are a row, and what stands in several rows names a thing. Attributes stand in
several rows too ("... of Old Town"), but there are fewer of them: each entry is read in its widest row. An ordinary
FAQ has no such rows, and nothing is done there.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.language import HAN_RANGES
from assistant.retrieval.entries import Entry
from assistant.retrieval.lexical import fold
from assistant.retrieval.table import Numbers

MIN_THINGS = 4
"""So many things must share a row of titles: fewer are chance."""

MAX_ENTRIES = 50_000
"""Of a tenant with more no names are learnt: it takes some 0.1 ms per entry whenever an index is opened."""

MAX_NAME_UNITS = 16
MAX_TITLE_UNITS = 32
MAX_CONTEXT_TEXTS = 16
MAX_CONTEXT_CHARS = 1_000
MIN_NAME_CHARS = 2

_UNIT = re.compile(rf"[{HAN_RANGES}]|[^\W_{HAN_RANGES}]+")

_BETWEEN_HAN = re.compile(rf"(?<=[{HAN_RANGES}]) (?=[{HAN_RANGES}])")

Units = tuple[str, ...]
"""A text as it is compared: words, and Chinese characters one by one."""

_Row = tuple[int, int]
"""What titles have in common, as hashes: what is before their names and what is behind."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read an entry: as one of this row, whose name is the title's stretch or the tag."""

    row: _Row
    name: Units


class Focus:
    """The named things of one tenant's entries; ``names`` are what they are called, in lower case."""

    def __init__(self, entries: Sequence[Entry], numbers: Sequence[int]) -> None:
        """``numbers`` are what the entries are known by, ascending."""
        self._things = _things(entries, numbers)
        self._lengths = sorted({len(name) for name in self._things}, reverse=True)
        self.names = tuple(map(_written, self._things))

    def __len__(self) -> int:
        return len(self._things)

    def of(self, query: str, context: Sequence[str]) -> Numbers | None:
        """The entries about the thing that the query names or else ``context`` named last; None where none is named.

        ``context`` is oldest first; of a long one the end counts.
        """
        if not self._things:
            return None
        for text in (query, *reversed(context[-MAX_CONTEXT_TEXTS:])):
            if name := self._last_named(text[-MAX_CONTEXT_CHARS:]):
                return self._things[name]
        return None

    def _last_named(self, text: str) -> Units | None:
        """The name that ends last in the text; of several that end there the longest."""
        units = units_of(text)
        for end in range(len(units), 0, -1):
            for length in self._lengths:
                name = units[max(end - length, 0) : end]
                if len(name) == length and name in self._things:
                    return name
        return None


def _written(name: Units) -> str:
    """A name as it is written: words apart, Chinese characters together."""
    return _BETWEEN_HAN.sub("", " ".join(name))


def units_of(text: str) -> Units:
    """The text's units."""
    return tuple(_UNIT.findall(fold(text)))


def _things(entries: Sequence[Entry], numbers: Sequence[int]) -> dict[Units, Numbers]:
    """The entries about each named thing, by its name."""
    if len(entries) > MAX_ENTRIES:
        return {}
    readings = _shared_readings(entries)
    holders = Counter(name for ways in readings for name in {way.name for way in ways})
    width = _widths(readings, holders)
    found: dict[Units, list[int]] = defaultdict(list)
    for number, ways in zip(numbers, readings, strict=True):
        wide = [way for way in ways if width[way.row] >= MIN_THINGS]
        if wide:
            widest = max(wide, key=lambda way: (width[way.row], -holders[way.name], -len(way.name)))
            found[widest.name].append(number)
    # What only a few of the entries that hold it are about is an attribute that one title put in a thing's place.
    return {name: np.array(members) for name, members in found.items() if 2 * len(members) >= holders[name]}


def _shared_readings(entries: Sequence[Entry]) -> list[list[_Reading]]:
    """Each entry's readings in rows that are long enough to be looked at."""
    titles = [units_of(entry.question)[:MAX_TITLE_UNITS] for entry in entries]
    tags = [{units_of(tag) for tag in (*entry.tags, entry.topic)} for entry in entries]
    counts = Counter(row for title in titles for row, _, _ in _stretches(title))
    counts.update(_tag_row(title) for title, own in zip(titles, tags, strict=True) for _ in own)
    kept = []
    for title, own in zip(titles, tags, strict=True):
        ways = [(row, title[start:end]) for row, start, end in _stretches(title) if counts[row] >= MIN_THINGS]
        ways += [(_tag_row(title), tag) for tag in own if counts[_tag_row(title)] >= MIN_THINGS]
        kept.append([_Reading(row, name) for row, name in ways if sum(map(len, name)) >= MIN_NAME_CHARS])
    return kept


def _widths(readings: Sequence[Sequence[_Reading]], holders: Counter[Units]) -> dict[_Row, int]:
    """How many names of each row stand in a second row, that of another entry."""
    rows: dict[Units, set[_Row]] = defaultdict(set)
    for ways in readings:
        for way in ways:
            rows[way.name].add(way.row)
    width: dict[_Row, int] = defaultdict(int)
    for name, own in rows.items():
        if len(own) > 1 and holders[name] > 1:
            for row in own:
                width[row] += 1
    return width


def _stretches(title: Units) -> Iterator[tuple[_Row, int, int]]:
    """Every stretch of the title that may be a name, and the row that the rest makes; never the whole title."""
    before = [hash(title[:start]) for start in range(len(title))]
    behind = [hash(title[end:]) for end in range(len(title) + 1)]
    for start in range(len(title)):
        for end in range(start + 1, min(start + MAX_NAME_UNITS, len(title)) + 1):
            if end - start < len(title):
                yield (before[start], behind[end]), start, end


def _tag_row(title: Units) -> _Row:
    """The row of entries that have this title and differ in a tag."""
    return hash(("tag", title)), 0
