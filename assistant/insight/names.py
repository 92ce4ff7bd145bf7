"""The things that a knowledge base names (products, branches), found in what customers write.

Names are compared unit by unit (words, and Chinese characters one by one) in one script, width and case. The time
does not grow with the number of names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from assistant.language import HAN_RANGES, fold
from assistant.values import Entity

MAX_NAMES = 5_000
MAX_NAME_UNITS = 16

UNIT = re.compile(rf"[{HAN_RANGES}]|[^\W_{HAN_RANGES}]+")

Units = tuple[str, ...]


class Names:
    """Some names, of which `MAX_NAMES` are known."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        known = sorted({name.strip() for name in names if len(name.strip()) > 1}, key=len, reverse=True)[:MAX_NAMES]
        self._names = {units[:MAX_NAME_UNITS]: name for name in known if (units := _units(name))}
        lengths: dict[str, set[int]] = defaultdict(set)
        for units in self._names:
            lengths[units[0]].add(len(units))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def find(self, text: str) -> Iterator[Entity]:
        """Each place where a name stands, the longest name at each."""
        places = list(UNIT.finditer(fold(text)))
        said = tuple(place.group().lower() for place in places)
        start = 0
        while start < len(said):
            end = self._end_of_name(said, start)
            if end > start:
                name = self._names[said[start:end]]
                yield Entity("product", name, places[start].start(), places[end - 1].end())
            start = max(end, start + 1)

    def _end_of_name(self, said: Units, start: int) -> int:
        """Where the longest name that begins at ``start`` ends; ``start`` where none does."""
        lengths = self._lengths.get(said[start], ())
        return next((start + length for length in lengths if said[start : start + length] in self._names), start)


def _units(name: str) -> Units:
    return tuple(unit.lower() for unit in UNIT.findall(fold(name)))
