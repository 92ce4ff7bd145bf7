"""Everything one socket is told of its conversation, in order and without a gap.

Bounds: `MAX_EVENTS_PER_READ` events in memory, `MAX_SNAPSHOT_EVENTS` in a snapshot; REST has the older ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId, Event, Message
from assistant.conversation.log import MAX_EVENTS_PER_READ, ConversationLog, Head
from assistant.dialogue.manager import DialogueManager
from assistant.gateway.frames import STATUS_REFRESH_S, Frame, LiveCursor, ephemeral, event_frame
from assistant.gateway.metrics import TurnTimes

MAX_SNAPSHOT_EVENTS = 200


class Feed:
    """The log after ``sent_seq``, then the running answer; use it while the conversation is watched.

    It keeps two cursors and no queue: while ``send`` waits for a slow reader nothing piles up here, and
    the next look gives the text merged.
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
        send: Callable[[Frame], Awaitable[None]],
    ) -> None:
        self._conversation_id = conversation_id
        self._log = log
        self._bus = bus
        self._manager = manager
        self._times = times
        self._sent_seq = sent_seq
        self._send = send
        self._live = LiveCursor()
        self._seen_commits = -1  # the first look reads the log in any case

    @property
    def refresh_s(self) -> float | None:
        """When to look again though nobody called: a running turn's status must not go out."""
        return STATUS_REFRESH_S if self._manager.live(self._conversation_id) else None

    async def send_events(self, *, upto: int | None = None) -> None:
        """Send the committed events that were not sent yet, page by page."""
        while upto is None or self._sent_seq < upto:
            limit = MAX_EVENTS_PER_READ if upto is None else min(MAX_EVENTS_PER_READ, upto - self._sent_seq)
            page = await self._log.public_events(self._conversation_id, after_seq=self._sent_seq, limit=limit)
            for event in page:
                await self._send(event_frame(event))
                self._mark_sent(event)
            if len(page) < limit:
                return

    async def send_snapshot(self, head: Head) -> None:
        """Send the conversation's latest events in one frame, for a client that has to begin anew."""
        first = max(0, head.last_seq - MAX_SNAPSHOT_EVENTS)
        events = await self._log.public_events(head.conversation_id, after_seq=first, limit=head.last_seq - first)
        data = {"epoch": head.epoch, "last_seq": head.last_seq, "mode": head.mode}
        shown = [event_frame(event) for event in events]
        await self._send(ephemeral("snapshot", head.conversation_id, {**data, "events": shown}))
        for event in events:
            self._mark_sent(event)

    async def send_news(self) -> None:
        """Send what came since the last look. The log is read only where something was committed."""
        while (commits := self._bus.num_commits(self._conversation_id)) != self._seen_commits:
            self._seen_commits = commits
            await self.send_events()
        # No await between the check above and this look: an answer's text never overtakes the events before it.
        turn = self._manager.live(self._conversation_id)
        for frame in self._live.advance(turn):
            await self._send(frame)
            if turn is not None and frame["type"] == "delta":
                self._times.text_sent(turn.reply_to)

    def _mark_sent(self, event: Event) -> None:
        assert event.seq is not None, "public events are numbered"
        self._sent_seq = event.seq
        if event.author != "customer" and isinstance(event.payload, Message):
            self._live.finish(event.payload)
            self._times.final_sent(event.payload)
