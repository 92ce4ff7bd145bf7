"""How many sockets one address and one visitor have in all processes together, by leases in Redis.

`Sockets` counts those of this process; this counts the others' too, where processes share a Redis. A process that
dies loses its leases. Bounds: a lease lasts `LEASE_S`, is renewed every `RENEW_S`, and a socket that was replaced from
another process closes by then; `MAX_RENEWED` leases go in one message.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from assistant.config import GatewaySettings
from assistant.dialogue.unbroken import unbroken
from assistant.gateway.addresses import MULTIPLES, networks_of
from assistant.gateway.limits import OnRefused
from assistant.gateway.shared import KEY_PREFIX, Shared, SharedDown
from assistant.gateway.sockets import LIMIT, VISITOR_LIMIT, too_many_sockets

LEASE_S = 30.0
RENEW_S = 4.0
MAX_RENEWED = 500

# KEYS: the leases. ARGV: now, until when, the new lease, the limit, milliseconds.
ADMIT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""
# The same, and then the prefix of the marks. A lease's name begins with its time: the first by name is the oldest.
REPLACE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local leases = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(leases)
for i = 1, #leases - tonumber(ARGV[4]) do
  redis.call('ZREM', KEYS[1], leases[i])
  redis.call('SET', ARGV[6] .. leases[i], 1, 'PX', ARGV[5])
end
return 1
"""


@dataclass(frozen=True, eq=False, slots=True)
class Lease:
    """One socket's place; ``on_replaced`` is called where another process gave it to a newer socket."""

    key: str
    name: str
    on_replaced: Callable[[], None] | None = None


class Places:
    """The sockets of all processes. Without ``shared`` it lets everybody in: `Sockets` has counted them."""

    def __init__(
        self, settings: GatewaySettings, *, shared: Shared | None, on_refused: OnRefused = lambda limit: None
    ) -> None:
        self._settings = settings
        self._on_refused = on_refused
        self._shared = shared
        self._leases: dict[Lease, None] = {}

    @asynccontextmanager
    async def admit(self, address: str) -> AsyncIterator[None]:
        """A place for one more socket from this address. Raises `Refusal`."""
        async with AsyncExitStack() as held:
            for network, multiple in zip(networks_of(address), MULTIPLES, strict=False):
                lease = Lease(f"{KEY_PREFIX}:sockets:address:{network}", _name())
                limit = self._settings.sockets_per_address * multiple
                if await self._take(ADMIT, lease, limit) == 0:
                    self._on_refused(LIMIT)
                    raise too_many_sockets(limit)
                await held.enter_async_context(self._held(lease))
            yield

    @asynccontextmanager
    async def joined(self, visitor_id: str, on_replaced: Callable[[], None]) -> AsyncIterator[None]:
        """The socket is this visitor's; where that is one too many, the oldest is told."""
        lease = Lease(f"{KEY_PREFIX}:sockets:visitor:{visitor_id}", _name(), on_replaced)
        await self._take(REPLACE, lease, self._settings.sockets_per_visitor)
        async with self._held(lease):
            yield

    async def renew_forever(self) -> None:
        """Keep the leases; run it as a task for as long as sockets are open."""
        while True:
            await asyncio.sleep(RENEW_S)
            await self.renew()

    async def renew(self) -> None:
        """Renew all leases once, also those that Redis has forgotten, and tell the replaced sockets."""
        waiting = iter(list(self._leases))
        while some := list(islice(waiting, MAX_RENEWED)):
            for lease in await self._renew(some):
                if lease in self._leases and lease.on_replaced is not None:
                    self._on_refused(VISITOR_LIMIT)
                    lease.on_replaced()

    @asynccontextmanager
    async def _held(self, lease: Lease) -> AsyncIterator[None]:
        if self._shared is None:
            yield
            return
        self._leases[lease] = None
        try:
            yield
        finally:
            del self._leases[lease]
            await unbroken(self._release(lease))

    async def _release(self, lease: Lease) -> None:
        if (shared := self._shared) is not None:
            with suppress(SharedDown):
                await shared.ask(lambda: shared.redis.zrem(lease.key, lease.name))

    async def _take(self, script: str, lease: Lease, limit: int) -> int:
        """What the script says; 1 where nobody can be asked."""
        if (shared := self._shared) is None:
            return 1
        now, lease_ms = time.time(), round(LEASE_S * 1000)
        values = (now, now + LEASE_S, lease.name, limit, lease_ms, _mark(""))
        with suppress(SharedDown):
            return int(await shared.ask(lambda: shared.redis.eval(script, 1, lease.key, *values)))
        return 1

    async def _renew(self, leases: Sequence[Lease]) -> list[Lease]:
        """The leases among these that were replaced."""
        if (shared := self._shared) is None:
            return []
        with suppress(SharedDown):
            marked = await shared.ask(lambda: shared.redis.mget([_mark(lease.name) for lease in leases]))
            replaced = [lease for lease, mark in zip(leases, marked, strict=True) if mark]
            pipeline = shared.redis.pipeline(transaction=False)
            for lease in set(leases) - set(replaced):
                pipeline.zadd(lease.key, {lease.name: time.time() + LEASE_S})
                pipeline.pexpire(lease.key, round(LEASE_S * 1000))
            await shared.ask(pipeline.execute)
            return replaced
        return []


def _name() -> str:
    return f"{time.time_ns():020d}-{secrets.token_hex(8)}"


def _mark(name: str) -> str:
    return f"{KEY_PREFIX}:sockets:replaced:{name}"
