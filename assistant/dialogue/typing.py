"""Who is writing just now: told to whoever watches the conversation, and kept nowhere.

Bounds: `MAX_CONVERSATIONS` are remembered, each for `TYPING_TTL_S`, and nobody is woken for one more often than every
`MIN_APART_S`; other processes do not learn of it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId

TYPING_TTL_S = 6.0
MIN_APART_S = 1.0
MAX_CONVERSATIONS = 10_000


class Typing:
    """The conversations in which one side, the customer or the person who has it, is writing to the other."""

    def __init__(self, bus: Bus, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._clock = clock
        self._told_at: OrderedDict[ConversationId, float] = OrderedDict()

    def tell(self, conversation_id: ConversationId) -> None:
        """Somebody is writing there."""
        before = self._told_at.get(conversation_id)
        if before is not None and self._clock() - before < MIN_APART_S:
            return
        self._told_at[conversation_id] = self._clock()
        self._told_at.move_to_end(conversation_id)
        if len(self._told_at) > MAX_CONVERSATIONS:
            self._told_at.popitem(last=False)
        self._bus.wake(conversation_id)

    def last(self, conversation_id: ConversationId) -> float | None:
        """When that was told last, if it still holds; an equal value says nothing new."""
        told_at = self._told_at.get(conversation_id)
        return told_at if told_at is not None and self._clock() - told_at < TYPING_TTL_S else None

    def end(self, conversation_id: ConversationId) -> None:
        """What was being written is there."""
        self._told_at.pop(conversation_id, None)
