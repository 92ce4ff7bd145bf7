"""A turn while it runs: what its watchers see of it, and what it commits before it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from assistant.conversation.bus import Bus
from assistant.conversation.events import Action, ConversationId, MessageId, NewEvent, TurnId, new_id
from assistant.conversation.log import ConversationLog
from assistant.dialogue.draft import Phase
from assistant.dialogue.unbroken import unbroken


@dataclass(slots=True)
class LiveTurn:
    """An answer being written. ``text`` is what was released so far; it only grows."""

    conversation_id: ConversationId
    reply_to: MessageId
    bus: Bus = field(repr=False)
    log: ConversationLog = field(repr=False)
    turn_id: TurnId = field(default_factory=lambda: TurnId(new_id("t")))
    message_id: MessageId = field(default_factory=lambda: MessageId(new_id("m")))
    phase: Literal["queued"] | Phase = "queued"
    text: str = ""

    def enter(self, phase: Phase) -> None:
        """Show a new phase."""
        self.phase = phase
        self.bus.wake(self.conversation_id)

    def release(self, text: str) -> None:
        """Show some more text."""
        self.text += text
        self.bus.wake(self.conversation_id)

    async def record(self, action: Action) -> None:
        """Commit a step of a business action; a turn that is stopped meanwhile does not lose it."""
        await unbroken(self.log.append(self.conversation_id, [NewEvent("assistant", action)]))
