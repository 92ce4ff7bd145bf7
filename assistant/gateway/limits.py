"""How much one visitor or address may do in a minute, counted here or in the Redis that processes share.

A visitor costs one request, so what visitors may do is counted for their address as well, ``address_multiple`` times.

Bounds: `LocalCounters` remembers `MAX_KEYS` keys. Frames are counted where their socket is: one too many ends it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, SlidingWindowCounterSupport
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from assistant.config import GatewaySettings
from assistant.gateway.addresses import MULTIPLES, networks_of
from assistant.gateway.counters import LocalCounters
from assistant.gateway.protocol import Refusal
from assistant.gateway.shared import KEY_PREFIX, Shared, SharedDown

BAD_FRAMES_PER_MINUTE = 20
FRAMES_PER_MINUTE = 600
REQUESTS_PER_MINUTE = 600
REFUSED_MESSAGES_PER_MINUTE = 60  # someone who goes on sending after `rate_limited`

Clock = Callable[[], float]
OnRefused = Callable[[str], None]
Storage = RedisStorage | LocalCounters
Counted = TypeVar("Counted")


class Counting:
    """Where counts are kept: in Redis while it answers, otherwise in this process.

    ``on_refused`` is told the name of the limit whenever something is one too many.
    """

    def __init__(
        self,
        *,
        clock: Clock = time.monotonic,
        shared: Shared | None = None,
        on_refused: OnRefused = lambda limit: None,
    ) -> None:
        self.on_refused = on_refused
        self.local = LocalCounters(clock=clock)
        self.shared = shared
        self.redis = _redis_storage(shared) if shared else None

    async def ask(self, question: Callable[[Storage], Awaitable[Counted]]) -> Counted:
        """What Redis says, or this process where Redis does not answer."""
        shared, redis = self.shared, self.redis
        if shared is not None and redis is not None:
            with suppress(SharedDown):
                return await shared.ask(lambda: question(redis))
        return await question(self.local)


class Allowance:
    """So many in so many seconds for each key, by the sliding window counter of the `limits` library.

    All at once if need be; what was used comes back evenly after the window it was used in.
    """

    def __init__(self, item: RateLimitItem, counting: Counting) -> None:
        self._item = item
        self._counting = counting

    async def take(self, key: str) -> float:
        """Take one: 0.0 where it is granted, otherwise the seconds until one will be."""
        return self._told(await self._counting.ask(lambda storage: self._take(storage, key)))

    async def wait_s(self, key: str, *, num: int = 1) -> float:
        """Take none: 0.0 where so many would be granted, otherwise about the seconds until they will be."""
        return self._told(await self._counting.ask(lambda storage: self._look(storage, key, num)))

    def _told(self, wait_s: float) -> float:
        if wait_s > 0:
            self._counting.on_refused(self._item.namespace)
        return wait_s

    async def _take(self, storage: Storage, key: str) -> float:
        if await SlidingWindowCounterRateLimiter(storage).hit(self._item, key):
            return 0.0
        return await self._until_one(storage, key)

    async def _look(self, storage: Storage, key: str, num: int) -> float:
        if await SlidingWindowCounterRateLimiter(storage).test(self._item, key, cost=num):
            return 0.0
        return await self._until_one(storage, key)

    async def _until_one(self, storage: SlidingWindowCounterSupport, key: str) -> float:
        """Until the previous window has faded enough, or else until this one has become the previous."""
        limit, expiry = self._item.amount, self._item.get_expiry()
        stats = await storage.get_sliding_window(self._item.key_for(key), expiry)
        previous, previous_s, current, current_s = stats
        until_next_s = max(0.0, current_s - expiry)
        if previous and current < limit:
            faded_s = previous_s - (limit - current) * expiry / previous
            if faded_s <= until_next_s:
                return max(faded_s, 0.001)
        return max(until_next_s + expiry - limit * expiry / max(current, limit), 0.001)


class NetworkAllowance:
    """So many in a minute for each address, and `MULTIPLES` of it for each wider network that it lies in."""

    def __init__(self, what: str, amount: int, counting: Counting) -> None:
        self._by_width = [_per_minute(what, amount * multiple, counting) for multiple in MULTIPLES]

    async def take(self, networks: Sequence[str]) -> float:
        """Take one in each of an address's networks, the narrowest first: 0.0, or the seconds to wait for one."""
        for allowance, network in zip(self._by_width, networks, strict=False):
            if (wait_s := await allowance.take(network)) > 0:
                return wait_s
        return 0.0


class Limits:
    """All the allowances of one server."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        clock: Clock = time.monotonic,
        shared: Shared | None = None,
        on_refused: OnRefused = lambda limit: None,
    ) -> None:
        everywhere = Counting(clock=clock, shared=shared, on_refused=on_refused)
        here = Counting(clock=clock, on_refused=on_refused)
        together = settings.messages_per_minute * settings.address_multiple
        self._handshakes = NetworkAllowance("handshakes", settings.handshakes_per_minute, everywhere)
        self._requests = NetworkAllowance("requests", REQUESTS_PER_MINUTE, everywhere)
        self._messages = _per_minute("messages", settings.messages_per_minute, everywhere)
        self._address_messages = NetworkAllowance("address_messages", together, everywhere)
        self._frames = _per_minute("frames", FRAMES_PER_MINUTE, here)
        self._bad_frames = _per_minute("bad_frames", BAD_FRAMES_PER_MINUTE, here)
        self._refused = _per_minute("refused", REFUSED_MESSAGES_PER_MINUTE, here)

    async def handshake(self, address: str) -> None:
        """Before a token or a socket. Raises `Refusal`."""
        _refuse("handshakes", await self._handshakes.take(networks_of(address)))

    async def request(self, address: str) -> None:
        """Before an HTTP request that reads the log. Raises `Refusal`."""
        _refuse("requests", await self._requests.take(networks_of(address)))

    async def message(self, visitor_id: str, networks: Sequence[str] = ()) -> None:
        """Before anything that is written to the log. Raises `Refusal`.

        ``networks`` are those of the visitor's address; none where a program with a key of its own speaks for them.
        """
        _refuse("messages", await self._messages.take(visitor_id))
        _refuse("messages from this address", await self._address_messages.take(networks))

    async def is_flooded(self, visitor_id: str) -> bool:
        """Whether this frame, good or bad, is one too many for any client that means well."""
        return await self._frames.take(visitor_id) > 0

    async def is_abused(self, visitor_id: str, *, by_rate: bool) -> bool:
        """Whether this refused frame is one too many, by `rate_limited` or by breaking the protocol."""
        return await (self._refused if by_rate else self._bad_frames).take(visitor_id) > 0


def _per_minute(what: str, amount: int, counting: Counting) -> Allowance:
    return Allowance(RateLimitItemPerMinute(amount, namespace=what), counting)


def _redis_storage(shared: Shared) -> RedisStorage:
    return RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix=KEY_PREFIX,
        connection_pool=shared.redis.connection_pool,  # type: ignore[arg-type] # documented, typed too narrowly
    )


def _refuse(what: str, wait_s: float) -> None:
    if wait_s > 0:
        raise Refusal(
            "rate_limited",
            f"There were too many {what} in one minute.",
            fix=f"Wait {wait_s:.1f} s.",
            retry_after_ms=max(1, round(wait_s * 1000)),
        )
