"""Everything one socket is told of its conversation, in order and without a gap.

Bounds: `MAX_QUEUED_EVENTS` events or `MAX_QUEUED_BYTES` wait for a slow reader. A snapshot has as many bytes, and
`MAX_SNAPSHOT_EVENTS` events; REST has the older ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId, Event, Message
from assistant.conversation.log import ConversationLog, Head
from assistant.dialogue.manager import DialogueManager
from assistant.gateway.asides import Asides
from assistant.gateway.frames import STATUS_REFRESH_S, Frame, LiveCursor, ephemeral, event_frame, to_json
from assistant.gateway.metrics import TurnTimes

MAX_QUEUED_EVENTS = 256
MAX_QUEUED_BYTES = 256 * 1024
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
        self._asides = Asides(conversation_id, typing=manager.typing, line=manager.line)
        self._seen_commits = -1  # the first look reads the log in any case

    @property
    def refresh_s(self) -> float | None:
        """When to look again though nobody called: a running turn's status must not go out."""
        return STATUS_REFRESH_S if self._manager.live(self._conversation_id) else None

    async def send_events(self, *, upto: int | None = None) -> None:
        """Send the committed events that were not sent yet, page by page."""
        told = self._log.told_events(self._conversation_id, after_seq=self._sent_seq) if upto is None else None
        if told is not None:
            for event in told:
                await self._send_event(event)
            return
        while upto is None or self._sent_seq < upto:
            limit = MAX_QUEUED_EVENTS if upto is None else min(MAX_QUEUED_EVENTS, upto - self._sent_seq)
            page = await self._log.public_events(self._conversation_id, after_seq=self._sent_seq, limit=limit)
            num_read, page = len(page), _fitting(page)
            for event in page:
                await self._send_event(event)
            if len(page) == num_read < limit:
                return

    async def _send_event(self, event: Event) -> None:
        await self._send(event_frame(event))
        self._mark_sent(event)

    async def send_snapshot(self, head: Head) -> None:
        """Send the conversation's latest events in one frame, for a client that has to begin anew."""
        first = max(0, head.last_seq - MAX_SNAPSHOT_EVENTS)
        latest = await self._log.public_events(head.conversation_id, after_seq=first, limit=head.last_seq - first)
        events = _fitting(reversed(latest))[::-1]
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
        for frame in self._asides.advance():
            await self._send(frame)

    def _mark_sent(self, event: Event) -> None:
        assert event.seq is not None, "public events are numbered"
        self._sent_seq = event.seq
        if event.author != "customer" and isinstance(event.payload, Message):
            self._live.finish(event.payload)
            self._times.final_sent(event.payload)


def _fitting(events: Iterable[Event]) -> list[Event]:
    """The first of these events that may wait for a slow reader together; one is not too many, however large."""
    fitting: list[Event] = []
    num_bytes = 0
    for event in events:
        num_bytes += len(to_json(event_frame(event)).encode())
        if fitting and num_bytes > MAX_QUEUED_BYTES:
            break
        fitting.append(event)
    return fitting
