"""What one visitor's messages may cost in a day: the characters they send, and the tokens of their answers.

An answer's tokens are charged before it is written, at their most (``max_new_tokens``): what an answer really took
is known too late to refuse it, and a visitor who drops the socket must not get it for nothing. The visitors of one
address have ``address_multiple`` budgets together, since a new visitor costs nothing; a wide IPv6 network has more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerDay
from limits.aio.strategies import FixedWindowRateLimiter

from assistant.config import Settings
from assistant.gateway.addresses import MULTIPLES
from assistant.gateway.limits import Clock, Counting, OnRefused
from assistant.gateway.protocol import Refusal
from assistant.gateway.shared import Shared

Purse = tuple[RateLimitItem, str]
"""A day's budget and whose it is."""


class Empty(NamedTuple):
    """The budget that does not reach, and how long until it does."""

    item: RateLimitItem
    wait_s: float


class Budget:
    """One day's budget for each visitor and address, counted here or in Redis; a day begins with its first message."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = time.monotonic,
        shared: Shared | None = None,
        on_refused: OnRefused = lambda limit: None,
    ) -> None:
        self._on_refused = on_refused
        self._counting = Counting(clock=clock, shared=shared)
        amount = settings.gateway.tokens_per_day
        together = amount * settings.gateway.address_multiple
        self._mine = RateLimitItemPerDay(amount, namespace="budget")
        self._together = [RateLimitItemPerDay(together * width, namespace="address_budget") for width in MULTIPLES]
        self._answer_tokens = settings.generation.max_new_tokens

    async def spend(self, visitor_id: str, text: str, networks: Sequence[str] = ()) -> None:
        """Charge a message and its answer. Raises `Refusal` where a budget of the day does not reach.

        ``networks`` are those of the visitor's address; none where a program with a key of its own speaks for them.
        """
        purses, cost = self._purses(visitor_id, networks), len(text) + self._answer_tokens
        empty = await self._counting.ask(lambda storage: _spend(FixedWindowRateLimiter(storage), purses, cost))
        if empty is not None:
            self._on_refused(empty.item.namespace)
            whose = "" if empty.item is self._mine else " for this address"
            raise Refusal(
                "rate_limited",
                f"The budget of {empty.item.amount} characters and tokens a day{whose} is spent.",
                fix=f"Wait {empty.wait_s / 3600:.1f} h.",
                retry_after_ms=round(empty.wait_s * 1000),
            )

    async def give_back(self, visitor_id: str, text: str, networks: Sequence[str] = ()) -> None:
        """The message was not taken after all."""
        purses, cost = self._purses(visitor_id, networks), -len(text) - self._answer_tokens
        await self._counting.ask(lambda storage: _charge(FixedWindowRateLimiter(storage), purses, cost))

    def _purses(self, visitor_id: str, networks: Sequence[str]) -> list[Purse]:
        return [(self._mine, visitor_id), *zip(self._together, networks, strict=False)]


async def _spend(limiter: FixedWindowRateLimiter, purses: Sequence[Purse], cost: int) -> Empty | None:
    for item, key in purses:
        if not await limiter.test(item, key, cost=cost):
            stats = await limiter.get_window_stats(item, key)
            return Empty(item, max(1.0, stats.reset_time - time.time()))
    await _charge(limiter, purses, cost)
    return None


async def _charge(limiter: FixedWindowRateLimiter, purses: Sequence[Purse], cost: int) -> None:
    for item, key in purses:
        await limiter.hit(item, key, cost=cost)
