"""Who waits for a person, and in which place: counted in the database by whoever keeps it, told where it changes.

A place is no fact of one conversation: one claim moves everybody behind. So the log has the place that a customer came
in at, in its ``state``, and what becomes of it is told to whoever watches and kept nowhere. Bound: `MAX_WAITING` places
are known; who stands behind them is told none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId

MAX_WAITING = 500


class WaitingLine:
    """The conversations that wait, each tenant's on its own. Place 1 is whose turn is next."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._places: dict[ConversationId, int] = {}
        self._lengths: Counter[str] | None = None

    def keep(self, waiting: Sequence[tuple[str, ConversationId]]) -> None:
        """How it stands now: tenant and conversation, the longest wait first; wakes whose place has changed."""
        lengths, places = Counter[str](), dict[ConversationId, int]()
        for tenant, conversation_id in waiting[:MAX_WAITING]:
            lengths[tenant] += 1
            places[conversation_id] = lengths[tenant]
        before, self._places = self._places, places
        self._lengths = lengths if len(waiting) < MAX_WAITING else None
        for conversation_id, place in places.items():
            if before.get(conversation_id) != place:
                self._bus.wake(conversation_id)

    def place(self, conversation_id: ConversationId) -> int | None:
        """Where the conversation stands; None where it does not wait, as far as is known."""
        return self._places.get(conversation_id)

    def next_place(self, tenant: str) -> int | None:
        """Where somebody who comes now will stand; None where nobody keeps the line, or it is too long."""
        return None if self._lengths is None else self._lengths[tenant] + 1
