"""Who a visitor is: one-use tokens for sockets, secrets for REST, and the pages that may talk to us.

Bounds: `MAX_TICKETS` unused tokens at a time, each for `token_ttl_s`; for one more, the network that has the most
loses its oldest, so that nobody can keep the others out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from assistant.conversation.visitors import Visitor, Visitors
from assistant.gateway.protocol import CloseCode, Refusal
from assistant.gateway.shared import KEY_PREFIX, Shared, SharedDown

MAX_TICKETS = 10_000
BEARER = "Bearer "
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token stands for. ``device`` is the digest of a signed-in customer's secret, empty for everybody else."""

    visitor: Visitor
    origin: str | None
    locale: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class _Unused:
    """A ticket until when it lives, and where it was asked for."""

    expires_at: float
    ticket: Ticket
    network: str


_TICKET = TypeAdapter(Ticket)


class Tickets:
    """Tokens that open one socket each, within seconds, from the page they were made for.

    With ``shared`` every process takes every process's tokens; where Redis does not answer, only its own.
    """

    def __init__(
        self,
        *,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
        max_tickets: int = MAX_TICKETS,
        shared: Shared | None = None,
    ) -> None:
        self.ttl_s = ttl_s
        self._clock = clock
        self._max_tickets = max_tickets
        self._shared = shared
        self._tickets: OrderedDict[str, _Unused] = OrderedDict()  # oldest first: all live equally long
        self._by_network: dict[str, OrderedDict[str, None]] = {}  # their keys, in the same order

    async def issue(self, ticket: Ticket, *, network: str = "") -> str:
        """A new token, asked for from this network (the widest of an address's)."""
        token = secrets.token_urlsafe(32)
        if not await self._share(_key(token), ticket):
            self._keep(_key(token), ticket, network)
        return token

    async def redeem(self, token: str, *, origin: str | None) -> Ticket:
        """Use a token up. Raises `Refusal` with the close code."""
        ticket = self._take(_key(token)) or await self._take_shared(_key(token))
        if ticket is None:
            raise Refusal(
                "unauthorized",
                "The token is unknown, used or expired.",
                fix="Get a new one from /v1/visitor-tokens for every connection.",
                close_code=CloseCode.AUTH,
            )
        if ticket.origin != origin:
            raise Refusal(
                "wrong_origin",
                "The token was made for a page of another origin.",
                fix="Get the token on the page that connects.",
                close_code=CloseCode.ORIGIN,
            )
        return ticket

    def _keep(self, key: str, ticket: Ticket, network: str) -> None:
        self._drop_expired()
        if len(self._tickets) >= self._max_tickets:
            most = max(self._by_network.values(), key=len)
            self._drop(next(iter(most)))
        self._tickets[key] = _Unused(self._clock() + self.ttl_s, ticket, network)
        self._by_network.setdefault(network, OrderedDict())[key] = None

    def _take(self, key: str) -> Ticket | None:
        self._drop_expired()
        unused = self._drop(key)
        return unused.ticket if unused else None

    def _drop(self, key: str) -> _Unused | None:
        unused = self._tickets.pop(key, None)
        if unused is not None:
            theirs = self._by_network[unused.network]
            del theirs[key]
            if not theirs:
                del self._by_network[unused.network]
        return unused

    async def _share(self, key: str, ticket: Ticket) -> bool:
        if self._shared is None:
            return False
        redis, record = self._shared.redis, _TICKET.dump_json(ticket)
        with suppress(SharedDown):
            await self._shared.ask(lambda: redis.set(key, record, px=round(self.ttl_s * 1000)))
            return True
        return False

    async def _take_shared(self, key: str) -> Ticket | None:
        if self._shared is None:
            return None
        redis = self._shared.redis
        with suppress(SharedDown):
            record = await self._shared.ask(lambda: redis.getdel(key))  # one command, so that it is had once
            return _TICKET.validate_json(record) if record else None
        return None

    def _drop_expired(self) -> None:
        now = self._clock()
        while self._tickets:
            key, unused = next(iter(self._tickets.items()))
            if unused.expires_at > now:
                return
            self._drop(key)


def _key(token: str) -> str:
    # Hashed, so that whoever reads the store has no tokens, and a lookup's time says nothing of them.
    return f"{KEY_PREFIX}:ticket:{hashlib.sha256(token.encode()).hexdigest()}"


async def identify(visitors: Visitors, *, tenant: str, visitor_id: str | None, secret: str | None) -> Visitor:
    """The visitor with this id and this secret. Raises `Refusal` for any other pair."""
    visitor = await visitors.by_secret(secret) if secret else None
    if visitor is None or visitor.visitor_id != visitor_id or visitor.tenant != tenant:
        raise Refusal(
            "unauthorized",
            "visitor_id and visitor_secret do not belong together.",
            fix="Leave both out to become a new visitor.",
        )
    return visitor


def has_key(authorization: str, key: str) -> bool:
    """Whether an Authorization header bears this key, compared in constant time."""
    return hmac.compare_digest(authorization.encode("utf-8", "surrogateescape"), f"{BEARER}{key}".encode())


async def by_bearer(visitors: Visitors, authorization: str) -> Visitor:
    """The visitor whose secret is in an Authorization header. Raises `Refusal`."""
    visitor = await visitors.by_secret(bearer(authorization))
    if visitor is None:
        raise Refusal(
            "unauthorized",
            "The visitor's secret is missing or wrong.",
            fix="Send Authorization: Bearer <visitor_secret>.",
        )
    return visitor


def bearer(authorization: str) -> str:
    """The secret in an Authorization header; empty where there is none that could be one."""
    secret = authorization.removeprefix(BEARER).strip() if authorization.startswith(BEARER) else ""
    return secret if secret.isascii() else ""


class Origins:
    """The pages whose scripts may talk to this server: the listed ones and its own."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = {origin.lower().rstrip("/") for origin in allowed}

    def allows(self, origin: str, *, host: str) -> bool:
        """Whether a page of this Origin may talk to the server it reached under this Host."""
        origin = origin.lower()
        if "*" in self._allowed or origin in self._allowed:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in DEFAULT_PORTS or not parts.netloc:
            return False
        port = DEFAULT_PORTS[parts.scheme]
        return parts.netloc.removesuffix(port) == host.lower().removesuffix(port)

    def check(self, origin: str | None, *, host: str) -> None:
        """Raises `Refusal` for a page that may not; without an Origin it is no browser and may."""
        if origin is not None and not self.allows(origin, host=host):
            raise Refusal(
                "wrong_origin",
                f"The origin {origin[:200]!r} may not talk to this assistant.",
                fix="Add it to [gateway] allowed_origins (ASSISTANT_GATEWAY__ALLOWED_ORIGINS).",
            )
