"""The latest events of a conversation that somebody watches, as this process committed them: no need to read them back.

They follow each other without a gap, which every commit proves inside its transaction by the conversation's head. What
another process or an erasure changes makes them void. Bounds: `MAX_EVENTS` and `MAX_CHARS` for each conversation.
"""

from __future__ import annotations

from collections import deque

from assistant.conversation.appending import Appended, Head
from assistant.conversation.events import Event, Message

MAX_EVENTS = 256
MAX_CHARS = 65_536
OTHER_CHARS = 500  # what an event that is no message counts for


class Recent:
    """One conversation's latest events. It says None for whatever it does not know for certain."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._num_chars = 0
        self._head: Head | None = None  # after the last of them
        self._position_before = 0
        self._seq_before = 0  # of the event before the first of them

    @property
    def head(self) -> Head | None:
        """Where the conversation stands."""
        return self._head

    def add(self, appended: Appended) -> None:
        """What was committed just now."""
        before = appended.before
        head = self._head
        if head is None or (head.epoch, head.last_position) != (before.epoch, before.last_position):
            self.forget()
            self._position_before, self._seq_before = before.last_position, before.last_seq
        self._head = appended.head
        for event in appended.events:
            self._events.append(event)
            self._num_chars += _num_chars(event)
        while self._events and (len(self._events) > MAX_EVENTS or self._num_chars > MAX_CHARS):
            self._drop_oldest()

    def forget(self) -> None:
        """Something happened that is not known here."""
        self._events.clear()
        self._num_chars, self._head = 0, None

    def public_after(self, seq: int) -> list[Event] | None:
        """All public events after ``seq``."""
        if self._head is None or seq < self._seq_before:
            return None
        return [event for event in self._events if event.seq is not None and event.seq > seq]

    def messages_before(self, position: int | None, *, limit: int) -> list[Event] | None:
        """The last ``limit`` messages before this position, or of all, oldest first."""
        if self._head is None:
            return None
        before = position or self._head.last_position + 1
        messages = [e for e in self._events if e.position < before and isinstance(e.payload, Message)]
        is_whole = self._position_before == 0 or len(messages) >= limit
        return messages[-limit:] if is_whole else None

    def _drop_oldest(self) -> None:
        event = self._events.popleft()
        self._num_chars -= _num_chars(event)
        self._position_before = event.position
        if event.seq is not None:
            self._seq_before = event.seq


def _num_chars(event: Event) -> int:
    said = event.payload
    if not isinstance(said, Message):
        return OTHER_CHARS
    cited = sum(len(citation.quote) for citation in said.citations)
    return len(said.text) + len(said.html) + cited + sum(len(passage.text) for passage in said.passages)
