"""International bank account numbers (ISO 13616): a country's own length and structure, and the check digits mod 97."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import iban

from assistant.privacy.spans import Candidate

BEGIN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")
REST = re.compile(r"(?:[ -]?[A-Za-z0-9]){11,30}")
SHORTEST, LONGEST = 15, 34
GROUPED = re.compile(r"[A-Z]{2}\d{2}(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,4})?(?![A-Z0-9])", re.I)


def ibans(text: str) -> Iterator[Candidate]:
    """The account numbers of a folded text; one with wrong check digits comes without a kind."""
    end = 0
    for begin in BEGIN.finditer(text):
        if begin.start() < end:
            continue
        rest = REST.match(text, begin.end())
        if rest is None:
            continue
        found = _longest_valid(text, begin.start(), rest.end())
        wrong = GROUPED.match(text, begin.start())
        if found:
            end = found
            yield Candidate("iban", begin.start(), found)
        elif wrong:
            end = wrong.end()
            yield Candidate(None, begin.start(), end)


def _longest_valid(text: str, start: int, end: int) -> int | None:
    """Where the longest valid number from ``start`` ends; words may follow it without a sign between."""
    written = text[start:end]
    places = [place for place, character in enumerate(written, start=1) if character.isalnum()]
    for place in reversed(places[SHORTEST - 1 : LONGEST]):
        following = text[start + place : start + place + 1]
        is_whole = not (following.isascii() and following.isalnum())
        if is_whole and iban.is_valid(written[:place], check_country=False):
            return start + place
    return None
