"""How much one visitor or address may do in a minute, counted here or in the Redis that processes share.

Bounds: `LocalCounters` remembers `MAX_KEYS` keys. Frames are counted where their socket is: one too many ends it.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, SlidingWindowCounterSupport
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from assistant.config import GatewaySettings
from assistant.gateway.counters import LocalCounters
from assistant.gateway.protocol import Refusal
from assistant.gateway.shared import KEY_PREFIX, Shared, SharedDown

BAD_FRAMES_PER_MINUTE = 20
FRAMES_PER_MINUTE = 600
REQUESTS_PER_MINUTE = 600
REFUSED_MESSAGES_PER_MINUTE = 60  # someone who goes on sending after `rate_limited`

Clock = Callable[[], float]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Counting:
    """Where counts are kept: in Redis while it answers, otherwise in this process."""

    def __init__(self, *, clock: Clock = time.monotonic, shared: Shared | None = None) -> None:
        self.local = LocalCounters(clock=clock)
        self.shared = shared
        self.redis = _redis_storage(shared) if shared else None


class Allowance:
    """So many in so many seconds for each key, by the sliding window counter of the `limits` library.

    All at once if need be; what was used comes back evenly after the window it was used in.
    """

    def __init__(self, item: RateLimitItem, counting: Counting) -> None:
        self._item = item
        self._counting = counting

    async def take(self, key: str) -> float:
        """Take one: 0.0 where it is granted, otherwise the seconds until one will be."""
        shared, redis = self._counting.shared, self._counting.redis
        if shared is not None and redis is not None:
            with suppress(SharedDown):
                return await shared.ask(lambda: self._take(redis, key))
        return await self._take(self._counting.local, key)

    async def _take(self, storage: RedisStorage | LocalCounters, key: str) -> float:
        if await SlidingWindowCounterRateLimiter(storage).hit(self._item, key):
            return 0.0
        return await self._wait_s(storage, key)

    async def _wait_s(self, storage: SlidingWindowCounterSupport, key: str) -> float:
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


class Limits:
    """All the allowances of one server."""

    def __init__(
        self, settings: GatewaySettings, *, clock: Clock = time.monotonic, shared: Shared | None = None
    ) -> None:
        everywhere, here = Counting(clock=clock, shared=shared), Counting(clock=clock)
        self._handshakes = _per_minute("handshakes", settings.handshakes_per_minute, everywhere)
        self._requests = _per_minute("requests", REQUESTS_PER_MINUTE, everywhere)
        self._messages = _per_minute("messages", settings.messages_per_minute, everywhere)
        self._frames = _per_minute("frames", FRAMES_PER_MINUTE, here)
        self._bad_frames = _per_minute("bad_frames", BAD_FRAMES_PER_MINUTE, here)
        self._refused = _per_minute("refused", REFUSED_MESSAGES_PER_MINUTE, here)

    async def handshake(self, address: str) -> None:
        """Before a token or a socket. Raises `Refusal`."""
        _refuse("handshakes", await self._handshakes.take(address))

    async def request(self, address: str) -> None:
        """Before an HTTP request that reads the log. Raises `Refusal`."""
        _refuse("requests", await self._requests.take(address))

    async def message(self, visitor_id: str) -> None:
        """Before anything that is written to the log. Raises `Refusal`."""
        _refuse("messages", await self._messages.take(visitor_id))

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


def client_address(remote: str | None, forwarded_for: str, trusted_proxies: Sequence[Network]) -> str:
    """Whom to count a request for: the last hop that is no proxy of ours, an IPv6 network as one (RFC 6177).

    ``forwarded_for`` is the X-Forwarded-For header. It counts only where ``remote`` is a trusted proxy, and is read
    from the right up to the first address that is none; what stands further left a client may have made up.
    """
    address = _parse(remote)
    if address is None:
        return "unknown"
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    while hops and is_among(address, trusted_proxies):
        claimed = _parse(hops.pop())
        if claimed is None:
            break  # not an address: the proxy that wrote it is the last one known
        address = claimed
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))
    return str(address)


def is_loopback(remote: str | None) -> bool:
    """Whether the connection comes from this machine itself."""
    address = _parse(remote)
    return address is not None and address.is_loopback


def is_among(address: Address, networks: Iterable[Network]) -> bool:
    """Whether the address lies in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def _parse(text: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
