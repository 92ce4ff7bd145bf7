"""What one socket is told beside the log: who is writing, and the place in the line; each once, until it changes."""

from __future__ import annotations

from assistant.conversation.events import ConversationId
from assistant.dialogue.line import WaitingLine
from assistant.dialogue.typing import TYPING_TTL_S, Typing
from assistant.gateway.frames import Frame, ephemeral


class Asides:
    """``typing`` is whose writing this side is told of; without a ``line`` nothing is told of places."""

    def __init__(self, conversation_id: ConversationId, *, typing: Typing, line: WaitingLine | None = None) -> None:
        self._conversation_id = conversation_id
        self._typing = typing
        self._line = line
        self._typing_told_at: float | None = None
        self._told_place: int | None = None

    def advance(self) -> list[Frame]:
        """The frames for what is new since the last look."""
        return [*self._new_typing(), *self._new_place()]

    def _new_typing(self) -> list[Frame]:
        told_at, before = self._typing.last(self._conversation_id), self._typing_told_at
        self._typing_told_at = told_at
        if told_at is None or told_at == before:
            return []
        return [ephemeral("typing", self._conversation_id, {"ttl_ms": round(TYPING_TTL_S * 1000)})]

    def _new_place(self) -> list[Frame]:
        place = self._line.place(self._conversation_id) if self._line else None
        before, self._told_place = self._told_place, place
        if place is None or place == before:
            return []
        return [ephemeral("queue", self._conversation_id, {"queue_position": place})]
