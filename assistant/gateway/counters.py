"""Counts of this process, behind the storage interface of the `limits` library.

The library's own `MemoryStorage` looks through all its keys on every hit and knows no bound. This one takes the steps
of the library's Redis scripts (https://limits.readthedocs.io, "sliding window counter"), so that limits are the same
either way. Bounds: ``max_keys``, the one that was not asked for the longest time goes first.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from limits.aio.storage import SlidingWindowCounterSupport, Storage

MAX_KEYS = 50_000


@dataclass(slots=True)
class _Window:
    """What was counted until ``ends_at``, and in the window before."""

    ends_at: float
    current: int = 0
    previous: int = 0


class LocalCounters(Storage, SlidingWindowCounterSupport):
    """Counts in memory. Nothing here waits; the methods are asynchronous because Redis' are."""

    STORAGE_SCHEME = None

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS) -> None:
        super().__init__()
        self._clock = clock
        self._max_keys = max_keys
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the library may wrap: nothing here fails."""
        return ValueError

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` where the last ``expiry`` seconds leave room for it."""
        window = self._rolled(key, expiry)
        previous, previous_ttl, current, _ = self._stats(window, expiry)
        if int(previous * previous_ttl / expiry) + current + amount > limit:
            return False
        if window is None:
            window = self._begin(key, expiry)
        window.current += amount
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """The previous window's count and seconds left, then the current one's, whose seconds include the next."""
        return self._stats(self._rolled(key, expiry), expiry)

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the key."""
        await self.clear(key)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` in a window that began with its first count."""
        window = self._fixed(key) or self._begin(key, expiry)
        window.current += amount
        return window.current

    async def get(self, key: str) -> int:
        """The count of the key's fixed window."""
        window = self._fixed(key)
        return window.current if window else 0

    async def get_expiry(self, key: str) -> float:
        """When the key's fixed window ends, in seconds since 1970."""
        window = self._fixed(key)
        return time.time() + (window.ends_at - self._clock() if window else 0.0)

    async def clear(self, key: str) -> None:
        """Forget the key."""
        self._windows.pop(key, None)

    async def check(self) -> bool:
        """Always there."""
        return True

    async def reset(self) -> int:
        """Forget everything; gives the number of keys."""
        num_keys = len(self._windows)
        self._windows.clear()
        return num_keys

    def _begin(self, key: str, expiry: int) -> _Window:
        window = self._windows[key] = _Window(self._clock() + expiry)
        if len(self._windows) > self._max_keys:
            self._windows.popitem(last=False)
        return window

    def _rolled(self, key: str, expiry: int) -> _Window | None:
        """The key's sliding window as of now; None where nothing counts any more."""
        window = self._windows.get(key)
        if window is None:
            return None
        now = self._clock()
        if now >= window.ends_at + expiry:
            del self._windows[key]
            return None
        if now >= window.ends_at:
            window.previous, window.current, window.ends_at = window.current, 0, window.ends_at + expiry
        self._windows.move_to_end(key)
        return window

    def _stats(self, window: _Window | None, expiry: int) -> tuple[int, float, int, float]:
        if window is None:
            return 0, 0.0, 0, 0.0
        left_s = window.ends_at - self._clock()
        return window.previous, left_s, window.current, left_s + expiry

    def _fixed(self, key: str) -> _Window | None:
        window = self._windows.get(key)
        if window is not None and window.ends_at <= self._clock():
            del self._windows[key]
            return None
        return window
