"""What of an entry is embedded: the whole of it, and the parts that a question may mean.

An encoder reads some 200 words and gives one vector, in which a sentence of a long text drowns. So each part has a
vector of its own, and the whole entry one more: what it is about tells two entries with a like sentence apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assistant.language import HAN_RANGES
from assistant.retrieval.embedding import Role
from assistant.retrieval.entries import Entry
from assistant.retrieval.fusion import Form
from assistant.values import Field

ANSWER_UNITS = 160
"""How long a piece of an answer is whose question is known; a unit is a word, or a Chinese character."""

SENTENCE_UNITS = 12
"""How long a piece of a text is that must be found by itself: a sentence, or a few short ones."""

TAUGHT_WORDINGS = 4
"""From so many wordings on the average, what an entry's have in common says what it is about."""

MAX_PIECES = 32
"""Longer texts are cut into longer pieces, so that one document does not fill the index."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|\n+")
_UNIT = re.compile(rf"[{HAN_RANGES}]|[^\W_{HAN_RANGES}]+")


@dataclass(frozen=True, slots=True)
class Part:
    """One text to embed, and the field it is of."""

    field: Field
    text: str

    @property
    def role(self) -> Role:
        """Whether it asks, or may answer."""
        return "passage" if self.field == "answer" else "query"


def is_text(entry: Entry) -> bool:
    """Whether the entry is only text that may answer, and asks no question as a customer may."""
    return entry.kind != "faq" or not entry.question.strip()


def form_of(entries: Sequence[Entry]) -> Form:
    """The form of entries that are ranked together: all text, or questions in a few or in many wordings each."""
    if is_text(entries[0]):
        return "text"
    num_wordings = sum(len(entry.wordings) for entry in entries)
    return "taught" if num_wordings >= TAUGHT_WORDINGS * len(entries) else "question"


def parts_of(entry: Entry) -> list[Part]:
    """The texts to embed, the whole entry first. Question or answer may be empty."""
    question, answer = entry.question.strip(), entry.answer.strip()
    whole = Part("answer" if answer else "question", f"{question}\n{answer}".strip())
    named = [Part("question", question)] if question and answer else []
    wordings = [Part("wording", wording) for wording in entry.wordings if wording.strip()]
    size = SENTENCE_UNITS if is_text(entry) else ANSWER_UNITS
    pieces = [Part("answer", piece) for piece in _pieces(answer, size) if piece != whole.text]
    return [whole, *named, *wordings, *pieces]


def _pieces(text: str, size: int) -> Iterator[str]:
    """Whole sentences together, up to ``size`` units where a sentence is not longer itself."""
    size = max(size, -(-_units(text) // MAX_PIECES))
    piece, num_units = "", 0
    for sentence in filter(None, map(str.strip, _SENTENCE.split(text))):
        units = _units(sentence)
        if piece and num_units + units > size:
            yield piece
            piece, num_units = "", 0
        piece, num_units = f"{piece} {sentence}".strip(), num_units + units
    if piece:
        yield piece


def _units(text: str) -> int:
    return sum(1 for _ in _UNIT.finditer(text))
