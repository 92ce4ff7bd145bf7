"""How often details that do not fit together were given for the same thing, in whatever conversations.

A new conversation costs nothing, so whoever guesses the e-mail address of an order is not slowed down by the bound that
one conversation has. What is claimed is counted instead: the order number, the address, the signed-in customer. Over
`MAX_AN_HOUR` a person goes on, also where the details were right at last.
Bounds: `MAX_KEYS` claims are remembered, as hashes and by this process; the longest unused goes first.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

MAX_AN_HOUR = 5
HOUR_S = 3_600.0
MAX_KEYS = 50_000


class Mismatches:
    """The latest mismatches of each claim. Use it from one event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: OrderedDict[str, tuple[float, ...]] = OrderedDict()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def trying(self, claims: Mapping[str, str]) -> Iterator[bool]:
        """Whether these claims (by slot) may be tried; while that lasts it counts, since it may be a mismatch too."""
        keys = _keys(claims)
        may = all(len(self._recent(key)) + self._under_way[key] < MAX_AN_HOUR for key in keys)
        self._under_way.update(keys)
        try:
            yield may
        finally:
            self._under_way.subtract(keys)
            self._under_way = +self._under_way  # without those that have none any more

    def note(self, claims: Mapping[str, str]) -> None:
        """These claims did not fit together."""
        for key in _keys(claims):
            self._times[key] = (*self._recent(key), self._clock())[-MAX_AN_HOUR:]
            self._times.move_to_end(key)
        while len(self._times) > MAX_KEYS:
            self._times.popitem(last=False)

    def _recent(self, key: str) -> tuple[float, ...]:
        since = self._clock() - HOUR_S
        return tuple(moment for moment in self._times.get(key, ()) if moment > since)


def _keys(claims: Mapping[str, str]) -> Collection[str]:
    return [hashlib.sha256(f"{slot}\0{value}".encode()).hexdigest() for slot, value in claims.items()]
