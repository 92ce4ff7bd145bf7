"""A document as plain text and the headings that divide it, whatever format it came in."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LEVEL = 6

_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in ``text[start:end]``; what it heads begins at ``end``. Level 0 is the document's own title."""

    level: int
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """Text with its headings in order. ``title`` is what the file calls itself, if it does.

    What is to be read begins at ``start``. Offsets count code points.
    """

    text: str
    headings: tuple[Heading, ...] = ()
    title: str = ""
    start: int = 0


class OutlineWriter:
    """Puts a document together, block by block, in Markdown."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._was_item = False

    def heading(self, level: int, title: str) -> None:
        """Begin a section."""
        title = " ".join(readable(title).split())
        if not title:
            return
        self._separate("\n\n")
        start = self._length
        self._add(f"{'#' * max(level, 1)} {title}")
        self._headings.append(Heading(level, title, start, self._length))

    def block(self, text: str, *, is_item: bool = False) -> None:
        """A paragraph or table, or an item of a list, which stands close to the one before."""
        text = readable(text).strip("\n").rstrip()
        if not text.strip():
            return
        self._separate("\n" if is_item and self._was_item else "\n\n")
        self._add(text)
        self._was_item = is_item

    def document(self, title: str = "") -> Document:
        """Everything that was written."""
        return Document("".join(self._parts), tuple(self._headings), " ".join(readable(title).split()))

    def _separate(self, separator: str) -> None:
        self._was_item = False
        if self._length:
            self._add(separator)

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def readable(text: str) -> str:
    """The text with one kind of line end and without what nobody reads: controls, half a surrogate pair, byte marks."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
