"""One conversation on an agent's socket: every event in the order of `position`, and the running answer.

Bounds: `PAGE` events in memory; `MAX_SNAPSHOT_EVENTS` events or `MAX_QUEUED_BYTES` in a snapshot, REST has the older
ones. It keeps two cursors and no queue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from assistant.conversation.bus import Bus
from assistant.conversation.events import Event, Message
from assistant.conversation.log import ConversationLog, Head
from assistant.dialogue.manager import DialogueManager
from assistant.gateway.agent_frames import agent_event_frame, agent_snapshot, subscribed
from assistant.gateway.agent_protocol import Subscribe
from assistant.gateway.asides import Asides
from assistant.gateway.feed import MAX_QUEUED_BYTES
from assistant.gateway.frames import Frame, LiveCursor, ephemeral, to_json
from assistant.gateway.resume import ResumeFailure

PAGE = 100
MAX_SNAPSHOT_EVENTS = 200


class AgentFeed:
    """The log after what the agent has, then the running answer; use it while the conversation is watched."""

    def __init__(
        self,
        head: Head,
        asked: Subscribe,
        *,
        log: ConversationLog,
        bus: Bus,
        manager: DialogueManager,
        send: Callable[[Frame], Awaitable[None]],
    ) -> None:
        self.conversation_id = head.conversation_id
        self._head = head
        self._asked = asked
        self._log = log
        self._bus = bus
        self._manager = manager
        self._send = send
        self._sent_position = asked.last_position
        self._has_begun = False
        self._is_void = False
        self._seen_commits = -1  # the first look reads the log in any case
        self._live = LiveCursor()
        self._asides = Asides(head.conversation_id, typing=manager.customer_typing)

    @property
    def has_running_answer(self) -> bool:
        """Whether a turn runs whose status must not go out."""
        return self._manager.live(self.conversation_id) is not None

    def notice_epoch(self, epoch: int) -> None:
        """The conversation's epoch: where it has risen, what was sent so far is void and sent anew."""
        self._is_void |= epoch > self._head.epoch

    async def send_news(self) -> None:
        """Send what was missed at the first look, and afterwards what came since the last one."""
        if self._is_void:
            await self._begin_anew()
        if not self._has_begun:
            await self._catch_up()
            self._has_begun = True
        while (commits := self._bus.num_commits(self.conversation_id)) != self._seen_commits:
            self._seen_commits = commits
            await self._send_events()
        # No await between the check above and this look: an answer's text never overtakes the events before it.
        for frame in self._live.advance(self._manager.live(self.conversation_id)):
            await self._send(frame)
        for frame in self._asides.advance():
            await self._send(frame)

    async def _begin_anew(self) -> None:
        self._asked = self._asked.model_copy(update={"epoch": self._head.epoch})
        self._head = await self._log.head(self.conversation_id)
        self._is_void = self._has_begun = False

    async def _catch_up(self) -> None:
        head = self._head
        await self._send(subscribed(head))
        failure = self._failure()
        if failure is not None:
            await self._send(ephemeral("resume_failed", self.conversation_id, {"reason": failure}))
            await self._send_snapshot()
            return
        await self._send_events(upto=head.last_position)
        await self._send(ephemeral("resumed", self.conversation_id, {"upto": head.last_position}))

    def _failure(self) -> ResumeFailure | None:
        if self._asked.epoch is not None and self._asked.epoch != self._head.epoch:
            return "epoch_changed"
        return "beyond_end" if self._asked.last_position > self._head.last_position else None

    async def _send_snapshot(self) -> None:
        head = self._head
        first = max(0, head.last_position - MAX_SNAPSHOT_EVENTS)
        count = head.last_position - first
        latest = await self._log.events(self.conversation_id, after_position=first, limit=count)
        events = _newest(latest)
        await self._send(agent_snapshot(head, events))
        for event in events:
            self._mark_sent(event)

    async def _send_events(self, *, upto: int | None = None) -> None:
        while upto is None or self._sent_position < upto:
            limit = PAGE if upto is None else min(PAGE, upto - self._sent_position)
            page = await self._log.events(self.conversation_id, after_position=self._sent_position, limit=limit)
            for event in page:
                await self._send(agent_event_frame(event))
                self._mark_sent(event)
            if len(page) < limit:
                return

    def _mark_sent(self, event: Event) -> None:
        self._sent_position = event.position
        if event.author != "customer" and isinstance(event.payload, Message):
            self._live.finish(event.payload)


def _newest(events: Sequence[Event]) -> Sequence[Event]:
    """The last of these events that fit in a frame; one is not too many, however large."""
    num_bytes, first = 0, len(events)
    while first > 0:
        num_bytes += len(to_json(agent_event_frame(events[first - 1])).encode())
        if num_bytes > MAX_QUEUED_BYTES and first < len(events):
            break
        first -= 1
    return events[first:]
