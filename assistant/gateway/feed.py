"""Everything one socket is told of its conversation, in order and without a gap.

Bounds: `MAX_EVENTS_PER_READ` events in memory, `MAX_SNAPSHOT_EVENTS` in a snapshot; REST has the older ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId, Message
from assistant.conversation.log import MAX_EVENTS_PER_READ, ConversationLog, Head
from assistant.dialogue.manager import DialogueManager
from assistant.gateway.frames import STATUS_REFRESH_S, Frame, LiveCursor, ephemeral, event_frame
from assistant.gateway.metrics import TurnTimes

MAX_SNAPSHOT_EVENTS = 200


class Feed:
    """The log after ``sent_seq``, then the running answer; use it while the conversation is watched.

    It keeps two cursors and no queue: a slow reader is read for later, and then gets merged text.
    """

    def __init__(
        self,
        conversation_id: ConversationId,
        *,
        log: ConversationLog,
        bus: Bus,
        manager: DialogueManager,
        times: TurnTimes,
        sent_seq: int,
    ) -> None:
        self._conversation_id = conversation_id
        self._log = log
        self._bus = bus
        self._manager = manager
        self._times = times
        self._sent_seq = sent_seq
        self._live = LiveCursor()
        self._seen_commits = -1  # the first look reads the log in any case

    @property
    def refresh_s(self) -> float | None:
        """When to look again though nobody called: a running turn's status must not go out."""
        return STATUS_REFRESH_S if self._manager.live(self._conversation_id) else None

    async def events(self, *, upto: int | None = None) -> AsyncIterator[Frame]:
        """The committed events that were not sent yet, page by page."""
        while upto is None or self._sent_seq < upto:
            limit = MAX_EVENTS_PER_READ if upto is None else min(MAX_EVENTS_PER_READ, upto - self._sent_seq)
            page = await self._log.public_events(self._conversation_id, after_seq=self._sent_seq, limit=limit)
            for event in page:
                assert event.seq is not None, "public events are numbered"
                yield event_frame(event)
                self._sent_seq = event.seq
                if event.author != "customer" and isinstance(event.payload, Message):
                    self._live.finish(event.payload)
                    self._times.final_sent(event.payload)
            if len(page) < limit:
                return

    async def snapshot(self, head: Head) -> Frame:
        """The conversation's latest events in one frame, for a client that has to begin anew."""
        first = max(0, head.last_seq - MAX_SNAPSHOT_EVENTS)
        self._sent_seq = first
        events = [frame async for frame in self.events(upto=head.last_seq)]
        data = {"epoch": head.epoch, "last_seq": head.last_seq, "mode": head.mode, "events": events}
        return ephemeral("snapshot", self._conversation_id, data)

    async def news(self) -> AsyncIterator[Frame]:
        """What came since the last look. The log is read only where something was committed."""
        while (commits := self._bus.num_commits(self._conversation_id)) != self._seen_commits:
            self._seen_commits = commits
            async for frame in self.events():
                yield frame
        # No await between the check above and this look: an answer's text never overtakes the events before it.
        turn = self._manager.live(self._conversation_id)
        for frame in self._live.advance(turn):
            yield frame
            if turn is not None and frame["type"] == "delta":
                self._times.text_sent(turn.reply_to)
