"""What one visitor's messages may cost in a day: the characters they send, and the tokens of their answers.

An answer's tokens are charged before it is written, at their most (``max_new_tokens``): what an answer really took
is known too late to refuse it, and a visitor who drops the socket must not get it for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from limits import RateLimitItemPerDay
from limits.aio.strategies import FixedWindowRateLimiter

from assistant.config import Settings
from assistant.gateway.limits import Clock, Counting
from assistant.gateway.protocol import Refusal
from assistant.gateway.shared import Shared, SharedDown


class Budget:
    """One day's budget for each visitor, counted here or in Redis; the day begins with its first message."""

    def __init__(self, settings: Settings, *, clock: Clock = time.monotonic, shared: Shared | None = None) -> None:
        counting = Counting(clock=clock, shared=shared)
        self._item = RateLimitItemPerDay(settings.gateway.tokens_per_day, namespace="budget")
        self._answer_tokens = settings.generation.max_new_tokens
        self._shared = shared
        self._local = FixedWindowRateLimiter(counting.local)
        self._redis = FixedWindowRateLimiter(counting.redis) if counting.redis else None

    async def spend(self, visitor_id: str, text: str) -> None:
        """Charge a message and its answer. Raises `Refusal` where the day's budget does not reach."""
        cost = len(text) + self._answer_tokens
        wait_s = await self._counted(lambda limiter: self._spend(limiter, visitor_id, cost))
        if wait_s > 0:
            raise Refusal(
                "rate_limited",
                f"The budget of {self._item.amount} characters and tokens a day is spent.",
                fix=f"Wait {wait_s / 3600:.1f} h.",
                retry_after_ms=round(wait_s * 1000),
            )

    async def give_back(self, visitor_id: str, text: str) -> None:
        """The message was not taken after all."""
        cost = -len(text) - self._answer_tokens
        await self._counted(lambda limiter: limiter.hit(self._item, visitor_id, cost=cost))

    async def _counted(self, count: Callable[[FixedWindowRateLimiter], Awaitable[float]]) -> float:
        shared, redis = self._shared, self._redis
        if shared is not None and redis is not None:
            with suppress(SharedDown):
                return await shared.ask(lambda: count(redis))
        return await count(self._local)

    async def _spend(self, limiter: FixedWindowRateLimiter, visitor_id: str, cost: int) -> float:
        if await limiter.test(self._item, visitor_id, cost=cost):
            await limiter.hit(self._item, visitor_id, cost=cost)
            return 0.0
        stats = await limiter.get_window_stats(self._item, visitor_id)
        return max(1.0, stats.reset_time - time.time())
