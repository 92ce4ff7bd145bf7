"""A circuit breaker: what failed again and again is left alone for a while (Nygard, Release It!, 2nd ed., ch. 5).

Closed, it lets everything through. After so many failures in a row it is open and refuses at once; after a pause it
is half open: one attempt is let through, which closes it or opens it for another pause. No I/O.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import structlog

from assistant.errors import ModelUnavailable

log = structlog.get_logger()

BreakerState = Literal["closed", "open", "half_open"]


class Breaker:
    """Counts failures in a row. Use it from one thread."""

    def __init__(self, *, max_failures: int, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_failures = max_failures
        self._pause_s = pause_s
        self._clock = clock
        self._num_failures = 0
        self._opened_at: float | None = None
        self._probe: Attempt | None = None
        self.num_openings = 0

    @property
    def state(self) -> BreakerState:
        """Whether attempts are let through."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._clock() - self._opened_at >= self._pause_s else "open"

    def check(self) -> None:
        """Raise `ModelUnavailable` where no attempt would be let through now."""
        if self.state == "open" or (self.state == "half_open" and self._probe is not None):
            raise ModelUnavailable(
                f"The model failed {self._num_failures} times in a row.",
                fix=f"It is tried again after {self._pause_s:.0f} s; see the server's log for why it failed.",
            )

    def begin(self) -> Attempt:
        """Let one attempt through, to be ended by whoever makes it. Raises `ModelUnavailable`."""
        self.check()
        attempt = Attempt(self)
        if self.state == "half_open":
            self._probe = attempt
        return attempt

    def _succeeded(self) -> None:
        if self._opened_at is not None:
            log.info("model_breaker_closed", failures=self._num_failures)
        self._num_failures, self._opened_at, self._probe = 0, None, None

    def _failed(self, attempt: Attempt) -> None:
        self._num_failures += 1
        was_open = self._opened_at is not None
        if attempt is self._probe or (not was_open and self._num_failures >= self._max_failures):
            log.warning("model_breaker_opened", failures=self._num_failures, pause_s=self._pause_s)
            self._opened_at = self._clock()
            self.num_openings += 1

    def _ended(self, attempt: Attempt) -> None:
        if attempt is self._probe:
            self._probe = None


class Attempt:
    """One use of what the breaker guards: it succeeds, fails, or ends without having shown either."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def succeed(self) -> None:
        """It works."""
        self._breaker._succeeded()

    def fail(self) -> None:
        """It does not."""
        self._breaker._failed(self)

    def end(self) -> None:
        """It is over; where it was the probe and showed nothing, the next one may be."""
        self._breaker._ended(self)
