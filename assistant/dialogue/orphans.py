"""Messages that were acknowledged and that nobody answers: their process is gone, or the disk refused the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from assistant.config import DialogueSettings
from assistant.conversation.events import Event
from assistant.conversation.log import ConversationLog
from assistant.dialogue.admission import MAX_WAITING_PER_CONVERSATION

# Conversations in which nothing happened for longer are left to the next start.
LOOK_BACK = timedelta(hours=6)


class Orphans:
    """Finds them in the log."""

    def __init__(self, log: ConversationLog, settings: DialogueSettings) -> None:
        self._log = log
        turn_s = settings.queue_timeout_s + settings.answer_timeout_s
        self._longest_turn = timedelta(seconds=MAX_WAITING_PER_CONVERSATION * turn_s)

    async def left_by_a_crash(self) -> list[Event]:
        """All of them, oldest first, for a process that has just begun and answers nothing yet."""
        return await self._log.unanswered()

    async def left_by_others(self) -> list[Event]:
        """Those that are so old that no process can still be answering them."""
        waiting = await self._log.unanswered(since=_stamp(datetime.now(UTC) - LOOK_BACK))
        too_late = _stamp(datetime.now(UTC) - self._longest_turn)
        return [event for event in waiting if event.ts < too_late]


def _stamp(moment: datetime) -> str:
    """The moment as the log writes it; such texts sort by time."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
