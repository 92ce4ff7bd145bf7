"""What is found in a text: a kind of personal data and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["email", "phone", "card", "iban", "resident_id", "ip"]


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data at ``text[start:end]``, offsets in code points."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something at ``text[start:end]`` that only one recogniser may have.

    Without a kind it is no personal data though it looks like it (a date, a version, a card with a wrong check
    digit), so that no other recogniser takes a piece of it for a telephone number.
    """

    kind: Kind | None
    start: int
    end: int


class Places:
    """Which characters of a text belong to a candidate already."""

    def __init__(self, length: int) -> None:
        self._taken = bytearray(length)

    def is_free(self, start: int, end: int) -> bool:
        """Whether none of these characters is taken."""
        return not any(self._taken[start:end])

    def free(self, candidates: Iterator[Candidate]) -> Iterator[Candidate]:
        """The candidates that stand on free places, which they take."""
        for candidate in candidates:
            if self.is_free(candidate.start, candidate.end):
                self._taken[candidate.start : candidate.end] = b"\1" * (candidate.end - candidate.start)
                yield candidate
