"""How much one visitor or address may do.

Bounds: each `Allowance` remembers `MAX_KEYS` keys; `Sockets` holds what the settings allow per address.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from assistant.config import GatewaySettings
from assistant.gateway.protocol import Refusal

MAX_KEYS = 50_000
BAD_FRAMES_PER_MINUTE = 20
FRAMES_PER_MINUTE = 600
REQUESTS_PER_MINUTE = 600
REFUSED_MESSAGES_PER_MINUTE = 60  # someone who goes on sending after `rate_limited`

Clock = Callable[[], float]


class Allowance:
    """So many a minute for each key: all at once if need be, then evenly as time passes.

    The generic cell rate algorithm (ITU-T I.371): one number per key, when its next cell is due.
    """

    def __init__(self, per_minute: int, *, clock: Clock = time.monotonic, max_keys: int = MAX_KEYS) -> None:
        self._interval_s = 60 / per_minute
        self._burst_s = 60.0 - self._interval_s
        self._clock = clock
        self._max_keys = max_keys
        self._due_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one: 0.0 where it is granted, otherwise the seconds until one will be."""
        now = self._clock()
        due_at = max(self._due_at.get(key, now), now)
        if (wait_s := due_at - now - self._burst_s) > 1e-9:
            return wait_s
        self._due_at[key] = due_at + self._interval_s
        self._due_at.move_to_end(key)
        if len(self._due_at) > self._max_keys:
            self._due_at.popitem(last=False)  # the one that has taken nothing for the longest time
        return 0.0


class Limits:
    """All the allowances of one server."""

    def __init__(self, settings: GatewaySettings, *, clock: Clock = time.monotonic) -> None:
        self._handshakes = Allowance(settings.handshakes_per_minute, clock=clock)
        self._requests = Allowance(REQUESTS_PER_MINUTE, clock=clock)
        self._messages = Allowance(settings.messages_per_minute, clock=clock)
        self._frames = Allowance(FRAMES_PER_MINUTE, clock=clock)
        self._bad_frames = Allowance(BAD_FRAMES_PER_MINUTE, clock=clock)
        self._refused = Allowance(REFUSED_MESSAGES_PER_MINUTE, clock=clock)

    def handshake(self, address: str) -> None:
        """Before a token or a socket. Raises `Refusal`."""
        _refuse("handshakes", self._handshakes.take(address))

    def request(self, address: str) -> None:
        """Before an HTTP request that reads the log. Raises `Refusal`."""
        _refuse("requests", self._requests.take(address))

    def message(self, visitor_id: str) -> None:
        """Before anything that is written to the log. Raises `Refusal`."""
        _refuse("messages", self._messages.take(visitor_id))

    def is_flooded(self, visitor_id: str) -> bool:
        """Whether this frame, good or bad, is one too many for any client that means well."""
        return self._frames.take(visitor_id) > 0

    def is_abused(self, visitor_id: str, *, by_rate: bool) -> bool:
        """Whether this refused frame is one too many, by `rate_limited` or by breaking the protocol."""
        return (self._refused if by_rate else self._bad_frames).take(visitor_id) > 0


def _refuse(what: str, wait_s: float) -> None:
    if wait_s > 0:
        raise Refusal(
            "rate_limited",
            f"There were too many {what} in one minute.",
            fix=f"Wait {wait_s:.1f} s.",
            retry_after_ms=max(1, round(wait_s * 1000)),
        )


def client_address(remote: str | None, forwarded_for: str, trusted_proxies: int) -> str:
    """Whom to count a request for: what the outermost trusted proxy saw, an IPv6 network as one (RFC 6177).

    ``forwarded_for`` is the X-Forwarded-For header; each of the ``trusted_proxies`` appended one address to
    it, and whatever stands further left a client may have made up.
    """
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    claimed = hops[-trusted_proxies] if 0 < trusted_proxies <= len(hops) else None
    for candidate in (claimed, remote):
        try:
            address = ipaddress.ip_address(candidate or "")
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            return str(address.ipv4_mapped or ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))
        return str(address)
    return "unknown"
