"""A document as entries: one for each section, long sections in parts, very short ones joined to their neighbours.

An entry's question is the path of headings that leads to it, "Handbook › Returns › Furniture"; its answer is a
stretch of the document's text. Sizes are in characters; Chinese says in 500 what English says in 1,200.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from assistant.retrieval.entries import Entry, derived_id
from assistant.retrieval.outline import Document, Heading

MAX_CHARS = {"zh": 500, "ja": 500, "ko": 700}
MAX_CHARS_ELSE = 1_200
SHORT = 30  # a section under a 30th of the maximum says too little to stand alone
SMALL_TAIL = 4  # a last part under a quarter of the maximum is evened out with the one before
MAX_QUESTION_CHARS = 300
ARROW = " › "

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|(?<=[。！？；])[”’」』）]*")
_SPACE = re.compile(r"\s+|(?<=[，、,])")


@dataclass(frozen=True, slots=True)
class _Section:
    """``text[start:end]`` below the headings of ``path``; its own heading begins at ``outer``."""

    path: tuple[str, ...]
    outer: int
    start: int
    end: int


def read_sections(document: Document, source: Path) -> Iterator[Entry]:
    """The document's entries, in order. ``source`` begins with the language's folder."""
    language = source.parts[0]
    max_chars = MAX_CHARS.get(language, MAX_CHARS_ELSE)
    title = _title(document, source)
    used: Counter[str] = Counter()
    for section in _joined(_sections(document, title), document.text, max_chars):
        made = (
            derived_id(" ".join(section.path[1:] or section.path), source.as_posix()) or f"{source.as_posix()}#section"
        )
        for start, end in _parts(document.text, section.start, section.end, max_chars):
            used[made] += 1
            yield Entry(
                id=made if used[made] == 1 else f"{made}-{used[made]}",
                lang=language,
                topic=title,
                question=_question(section.path),
                wordings=(),
                answer=document.text[start:end],
                tags=(),
                review=None,
                source=source.as_posix(),
                source_start=start,
                source_end=end,
                kind="document",
            )


def _title(document: Document, source: Path) -> str:
    """What the document is called: its one topmost heading, its own title, or the file's name."""
    if first := document.headings[:1]:
        top = min(heading.level for heading in document.headings)
        if first[0].level == top and sum(heading.level == top for heading in document.headings) == 1:
            return first[0].title
    return document.title or source.stem.replace("_", " ").replace("-", " ").strip() or source.name


def _sections(document: Document, title: str) -> Iterator[_Section]:
    path: list[Heading] = []
    ends = [heading.start for heading in document.headings] + [len(document.text)]
    yield _Section((title,), document.start, document.start, max(ends[0], document.start))
    for heading, end in zip(document.headings, ends[1:], strict=True):
        path = [outer for outer in path if outer.level < heading.level] + [heading]
        titles = [outer.title for outer in path]
        yield _Section(tuple(titles if titles[0] == title else [title, *titles]), heading.start, heading.end, end)


def _joined(sections: Iterator[_Section], text: str, max_chars: int) -> list[_Section]:
    """Sections with text. A short one joins the section above it, or short ones of the same heading one another."""
    joined: list[_Section] = []
    for section in sections:
        length = len(text[section.start : section.end].strip())
        if not length:
            continue
        last = joined[-1] if joined else None
        is_short = length * SHORT < max_chars
        if last is None or not is_short or section.end - last.start > max_chars:
            joined.append(section)
        elif section.path[: len(last.path)] == last.path:
            joined[-1] = _Section(last.path, last.outer, last.start, section.end)
        elif len(last.path) > 1 and last.path[:-1] == section.path[:-1] and _is_short(last, text, max_chars):
            joined[-1] = _Section(last.path[:-1], last.outer, last.outer, section.end)
        else:
            joined.append(section)
    return joined


def _is_short(section: _Section, text: str, max_chars: int) -> bool:
    return len(text[section.start : section.end].strip()) * SHORT < max_chars


def _question(path: Sequence[str]) -> str:
    """The path, without its middle where it is very long."""
    question = ARROW.join(path)
    if len(question) > MAX_QUESTION_CHARS:
        question = ARROW.join(part[: MAX_QUESTION_CHARS // 3] for part in dict.fromkeys((path[0], path[-1])))
    return question


def _parts(text: str, start: int, end: int, max_chars: int) -> list[tuple[int, int]]:
    """``text[start:end]`` in parts of at most ``max_chars``, each without the space around it."""
    units = [_trimmed(text, *unit) for unit in _units(text, start, end, max_chars)]
    parts: list[tuple[int, int]] = []
    for unit in (unit for unit in units if unit[0] < unit[1]):
        if parts and unit[1] - parts[-1][0] <= max_chars:
            parts[-1] = (parts[-1][0], unit[1])
        else:
            parts.append(unit)
    if len(parts) > 1 and (parts[-1][1] - parts[-1][0]) * SMALL_TAIL < max_chars:
        parts[-2:] = _evened(text, parts[-2][0], parts[-1][1], max_chars)
    return parts


def _evened(text: str, start: int, end: int, max_chars: int) -> list[tuple[int, int]]:
    """Two parts of about the same length, parted where a paragraph, line or sentence ends."""
    middle = (start + end) // 2
    cuts = [cut for cut, _ in _units(text, start, end, max(1, max_chars // SMALL_TAIL))][1:]
    cuts = [cut for cut in cuts if max(cut - start, end - cut) <= max_chars]
    if not cuts:
        cuts = [start + max_chars]
    cut = min(cuts, key=lambda cut: abs(cut - middle))
    return [_trimmed(text, start, cut), _trimmed(text, cut, end)]


def _units(text: str, start: int, end: int, max_chars: int) -> Iterator[tuple[int, int]]:
    """Stretches that follow each other without a gap: paragraphs, where too long lines, then sentences, then words."""
    spans = [(start, end)]
    for boundary in (_PARAGRAPH, _LINE, _SENTENCE, _SPACE):
        spans = [part for span in spans for part in _split(text, *span, boundary, max_chars, boundary is _PARAGRAPH)]
    for first, after in spans:
        yield from ((cut, min(cut + max_chars, after)) for cut in range(first, after, max_chars))


def _split(
    text: str, start: int, end: int, boundary: re.Pattern[str], max_chars: int, always: bool
) -> Iterator[tuple[int, int]]:
    if end - start <= max_chars and not always:
        yield start, end
        return
    cuts = [start, *(match.end() for match in boundary.finditer(text, start, end) if start < match.end() < end), end]
    yield from pairwise(cuts)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
