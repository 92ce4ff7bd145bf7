"""Who may have a turn: so many run, so many wait for their place, and one more is refused before anything is stored.

Bounds: ``max_turns`` turns in all, ``address_share`` of them for one address; ``max_running`` of them run, each of the
others waits at most ``queue_timeout_s``; `MAX_WAITING_PER_CONVERSATION` of one conversation. Reserving never awaits,
so a refusal is there at once and two messages cannot take the same place.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from assistant.config import DialogueSettings
from assistant.conversation.events import ConversationId
from assistant.errors import Busy, QueueFull

MAX_WAITING_PER_CONVERSATION = 4
MIN_OF_ADDRESS = 4
MIN_RETRY_MS, MAX_RETRY_MS = 1_000, 30_000
DRAINING_RETRY_MS = 2_000
# How much the latest turn weighs in the mean time of a turn.
SMOOTHING = 0.1


class Admission:
    """The places for turns. Use it from one event loop."""

    def __init__(self, settings: DialogueSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._running = asyncio.Semaphore(settings.max_running)
        self._num_taken: Counter[ConversationId] = Counter()
        self._num_of_network: Counter[str] = Counter()
        self._num_running = 0
        self._mean_turn_s = MIN_RETRY_MS / 1_000
        self._is_closed = False

    @property
    def num_taken(self) -> int:
        """How many turns run or wait."""
        return self._num_taken.total()

    @property
    def num_running(self) -> int:
        """How many turns run; the others that are taken wait for their place."""
        return self._num_running

    @property
    def num_waiting(self) -> int:
        """How many turns wait for their place."""
        return max(0, self.num_taken - self._num_running)

    @property
    def is_closed(self) -> bool:
        """Whether every further turn is refused."""
        return self._is_closed

    def holds(self, conversation_id: ConversationId) -> bool:
        """Whether a turn of this conversation runs or waits."""
        return self._num_taken[conversation_id] > 0

    def close(self) -> None:
        """Refuse every further turn; those that have a place keep it."""
        self._is_closed = True

    def reserve(self, conversation_id: ConversationId, networks: Sequence[str] = ()) -> Place:
        """A place for one more turn. Raises `Busy`.

        ``networks`` are whom it is counted for beside the conversation: the customer's address, then wider networks.
        """
        if self._is_closed:
            raise Busy(retry_after_ms=DRAINING_RETRY_MS, queue_position=self.num_taken + 1)
        here = self._num_taken[conversation_id]
        if (
            self.num_taken >= self._settings.max_turns
            or here >= MAX_WAITING_PER_CONVERSATION
            or self._has_its_share(networks)
        ):
            raise Busy(retry_after_ms=self._retry_after_ms(), queue_position=self.num_taken + 1)
        return self.take(conversation_id, networks)

    def take(self, conversation_id: ConversationId, networks: Sequence[str] = ()) -> Place:
        """A place beyond the bounds, for a message that was acknowledged before a restart."""
        self._num_taken[conversation_id] += 1
        self._num_of_network.update(networks)
        return Place(self, conversation_id, tuple(networks))

    def _has_its_share(self, networks: Sequence[str]) -> bool:
        """Whether an address has all the places that one may have, or a wider network twice as many."""
        share = max(MIN_OF_ADDRESS, int(self._settings.max_turns * self._settings.address_share))
        return any(
            self._num_of_network[network] >= (2 * share if is_wider else share)
            for is_wider, network in enumerate(networks)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Wait for one's turn to run, first come, first served. Raises `QueueFull` where that takes too long."""
        try:
            async with asyncio.timeout(self._settings.queue_timeout_s):
                await self._running.acquire()
        except TimeoutError as error:
            raise QueueFull(
                f"No turn ended within {self._settings.queue_timeout_s} s.",
                fix="Raise [dialogue] max_running or queue_timeout_s if this happens often.",
            ) from error
        began_at = self._clock()
        self._num_running += 1
        try:
            yield
        finally:
            self._num_running -= 1
            self._running.release()
            self._mean_turn_s += SMOOTHING * (self._clock() - began_at - self._mean_turn_s)

    def _retry_after_ms(self) -> int:
        """About when a place will be free, by the turns' mean time."""
        rounds = 1 + self.num_taken / self._settings.max_running
        return round(min(MAX_RETRY_MS, max(MIN_RETRY_MS, 1_000 * rounds * self._mean_turn_s)))

    def _free(self, conversation_id: ConversationId, networks: Sequence[str]) -> None:
        self._num_taken[conversation_id] -= 1
        if not self._num_taken[conversation_id]:
            del self._num_taken[conversation_id]
        self._num_of_network.subtract(networks)
        for network in networks:
            if not self._num_of_network[network]:
                del self._num_of_network[network]


class Place:
    """A turn's place, from before its message is stored until its answer is."""

    def __init__(self, admission: Admission, conversation_id: ConversationId, networks: tuple[str, ...]) -> None:
        self._admission = admission
        self._conversation_id = conversation_id
        self._networks = networks
        self._is_taken = True

    def free(self) -> None:
        """Give the place back; a second time does nothing."""
        if self._is_taken:
            self._is_taken = False
            self._admission._free(self._conversation_id, self._networks)
