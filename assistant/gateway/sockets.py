"""The open sockets: how many one address and one visitor may have, and closing them all at shutdown.

Bounds: `sockets_per_address` and `sockets_per_visitor` of the settings; at shutdown
`LAST_LOOK_S` for what was answered last, and `DRAIN_S` for the last farewell.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from assistant.config import GatewaySettings
from assistant.gateway.addresses import MULTIPLES, networks_of
from assistant.gateway.limits import OnRefused
from assistant.gateway.protocol import CloseCode, Refusal

LIMIT, VISITOR_LIMIT = "sockets_per_address", "sockets_per_visitor"
LAST_LOOK_S = 1.0
DRAIN_S = 5.0

log = structlog.get_logger()


class Closable(Protocol):
    """An open socket, as far as this file is concerned."""

    def end(self, code: CloseCode) -> None:
        """Ask it to close; returns at once."""


class Sockets:
    """Every open socket of this process."""

    def __init__(self, settings: GatewaySettings, *, on_refused: OnRefused = lambda limit: None) -> None:
        self._settings = settings
        self._on_refused = on_refused
        self._num_by_network: Counter[str] = Counter()
        self._by_visitor: defaultdict[str, list[Closable]] = defaultdict(list)
        self._visitor_left: dict[str, asyncio.Event] = {}
        self._open: set[Closable] = set()
        self._all_closed = asyncio.Event()
        self.is_draining = False

    @contextmanager
    def admit(self, address: str) -> Iterator[None]:
        """A place for one more socket from this address. Raises `Refusal`."""
        if self.is_draining:
            raise Refusal("draining", "The assistant is shutting down.", fix="Try again.", retry_after_ms=2_000)
        networks = networks_of(address)
        for network, multiple in zip(networks, MULTIPLES, strict=False):
            if self._num_by_network[network] >= (limit := self._settings.sockets_per_address * multiple):
                self._on_refused(LIMIT)
                raise too_many_sockets(limit)
        self._num_by_network.update(networks)
        try:
            yield
        finally:
            self._num_by_network.subtract(networks)
            for network in networks:
                if not self._num_by_network[network]:
                    del self._num_by_network[network]

    @contextmanager
    def opened(self, socket: Closable) -> Iterator[None]:
        """The socket is open for as long as this lasts."""
        self._open.add(socket)
        if self.is_draining:  # shutdown began while it was being upgraded
            socket.end(CloseCode.DRAINING)
        try:
            yield
        finally:
            self._open.discard(socket)
            if not self._open:
                self._all_closed.set()

    @contextmanager
    def joined(self, socket: Closable, visitor_id: str) -> Iterator[None]:
        """The socket is this visitor's; where that is one too many, the oldest is closed."""
        theirs = self._by_visitor[visitor_id]
        theirs.append(socket)
        if len(theirs) > self._settings.sockets_per_visitor:
            self._on_refused(VISITOR_LIMIT)
            theirs.pop(0).end(CloseCode.REPLACED)
        try:
            yield
        finally:
            if socket in theirs:
                theirs.remove(socket)
            if not self._by_visitor.get(visitor_id):
                self._by_visitor.pop(visitor_id, None)
                if (left := self._visitor_left.pop(visitor_id, None)) is not None:
                    left.set()

    @property
    def visitor_ids(self) -> list[str]:
        """Who has a socket open in this process: visitors, and agents by their id."""
        return list(self._by_visitor)

    def num_of(self, visitor_id: str) -> int:
        """How many sockets the visitor has open in this process."""
        return len(self._by_visitor.get(visitor_id, ()))

    async def end_visitor(self, visitor_id: str, code: CloseCode, *, within_s: float) -> bool:
        """Close all sockets of a visitor; False where one is still open after ``within_s``."""
        theirs = self._by_visitor.get(visitor_id)
        if not theirs:
            return True
        left = self._visitor_left.setdefault(visitor_id, asyncio.Event())
        for socket in list(theirs):
            socket.end(code)
        try:
            async with asyncio.timeout(within_s):
                await left.wait()
        except TimeoutError:
            return False
        return True

    async def drain(self, turns: Awaitable[None] | None = None) -> None:
        """Let no new socket in and close all with 4503, those that wait for one of these turns after it has ended."""
        self.is_draining = True
        log.info("draining", sockets=len(self._open))
        self._end_all()
        if turns is not None:
            await turns
        if not await self._closed_within(LAST_LOOK_S):
            self._end_all()  # these read too slowly for a last look
        if not await self._closed_within(DRAIN_S):
            log.warning("sockets_left_open", sockets=len(self._open))

    def _end_all(self) -> None:
        for socket in list(self._open):
            socket.end(CloseCode.DRAINING)

    async def _closed_within(self, seconds: float) -> bool:
        self._all_closed.clear()
        if not self._open:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._all_closed.wait()
        except TimeoutError:
            return False
        return True


def too_many_sockets(limit: int) -> Refusal:
    """What an address is told that has so many open."""
    return Refusal(
        "too_many_sockets",
        f"{limit} sockets are open from this address.",
        fix="Close one.",
        retry_after_ms=5_000,
    )
