"""Finding personal data of a fixed form in what people write, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from assistant.privacy.cards import cards
from assistant.privacy.dates import dates
from assistant.privacy.emails import emails
from assistant.privacy.folding import fold
from assistant.privacy.ibans import ibans
from assistant.privacy.ip_addresses import ip_addresses
from assistant.privacy.phones import PhoneFinder
from assistant.privacy.resident_ids import resident_ids
from assistant.privacy.spans import Candidate, Places, Span

LANGUAGES = ("en", "zh")
REGIONS_OF: dict[str, tuple[str, ...]] = {"en": ("US", "GB"), "zh": ("CN", "HK", "TW")}
"""Whose national telephone numbers a text in this language is searched for; others count with their country code."""
# A look that costs little, since most of what is logged has none: an at sign, seven digits with signs between, what an
# IBAN begins with, four numbers with dots, two colons near each other.
MAYBE = re.compile(
    r"@|\d(?:[ ().\-/]{0,3}\d){6}|(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}[ -]?[A-Za-z0-9]|\d\.\d{1,3}\.\d{1,3}\.\d"
    r"|:[0-9A-Fa-f]{0,4}:"
)

Recogniser = Callable[[str], Iterator[Candidate]]


def find(text: str, languages: Sequence[str] = LANGUAGES, *, regions: Sequence[str] = ()) -> list[Span]:
    """The personal data in ``text``, in order, never overlapping.

    ``regions`` (ISO 3166) adds countries whose national telephone numbers are searched for. The time is linear in
    the length of the text. Numbers with check digits count only where these are right.
    """
    folded = fold(text)
    if not MAYBE.search(folded):
        return []
    places = Places(len(text))
    kept = [
        found
        for recognise in _recognisers(tuple(languages), tuple(regions))
        for found in places.free(recognise(folded))
    ]
    spans = [Span(found.kind, found.start, found.end) for found in kept if found.kind is not None]
    return sorted(spans, key=lambda span: span.start)


@lru_cache(maxsize=64)
def _recognisers(languages: tuple[str, ...], regions: tuple[str, ...]) -> tuple[Recogniser, ...]:
    """In the order in which they may take a place."""
    spoken = dict.fromkeys([*regions, *(region for language in languages for region in REGIONS_OF.get(language, ()))])
    return emails, ip_addresses, dates, ibans, resident_ids, cards, PhoneFinder(tuple(spoken)).find
