"""The Redis that several processes share: limits, tickets and places in one, and what to do without it.

Bounds: `TIMEOUT_S` for an answer; after a failure it is left alone for `PAUSE_S`, and each process counts for itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from assistant.conversation.redis_client import close_redis, open_redis

TIMEOUT_S = 1.0
PAUSE_S = 5.0
KEY_PREFIX = "assistant"

T = TypeVar("T")
log = structlog.get_logger()


class SharedDown(Exception):
    """Redis does not answer; count in this process."""


class Shared:
    """One connection pool, and whether Redis is worth asking just now."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self._clock = clock
        self._down_until = float("-inf")

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """What Redis says to ``question``. Raises `SharedDown` where it does not, at once for a while after that."""
        if self._clock() < self._down_until:
            raise SharedDown
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await question()
        except (RedisError, OSError, TimeoutError) as error:
            self._down_until = self._clock() + PAUSE_S
            log.warning("redis_down", error=type(error).__name__, pause_s=PAUSE_S)
            raise SharedDown from error

    async def close(self) -> None:
        """Give the connections back."""
        await close_redis(self.redis)


def open_shared(url: SecretStr, *, clock: Callable[[], float] = time.monotonic) -> Shared | None:
    """The Redis of the settings, not connected yet; None where they name none. Raises `ConfigError`."""
    return Shared(open_redis(url, timeout_s=TIMEOUT_S), clock=clock) if url.get_secret_value() else None
