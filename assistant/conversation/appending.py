"""Appending inside a transaction: what may come is decided and numbered, then written. Synchronous, for one connection.

Orders of several conversations share a transaction. What is refused is refused before any of it is written, so that
it harms no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select

from assistant.conversation import statements
from assistant.conversation.events import (
    ConversationId,
    Event,
    Message,
    Mode,
    NewEvent,
    Note,
    Opened,
    State,
    VisitorId,
    from_record,
    now,
    to_record,
    visibility_of,
)
from assistant.errors import AssistantError, IdempotencyConflict, UnknownConversation


@dataclass(frozen=True, slots=True)
class Head:
    """Where a conversation stands. ``assignee`` is the agent who has it, by id."""

    conversation_id: ConversationId
    tenant: str
    visitor_id: VisitorId
    locale: str
    epoch: int = 1
    last_position: int = 0
    last_seq: int = 0
    mode: Mode = "bot"
    assignee: str | None = None


Deciding = Callable[[Head], Sequence[NewEvent]]
"""What comes first, given where the conversation stands; it raises where nothing may come. On any thread."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be appended to one conversation; see `ConversationLog.append`."""

    conversation_id: ConversationId
    new: Sequence[NewEvent]
    opening: Opened | None = None
    first: Deciding | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an order: where the conversation stood before it and stands now, and its events.

    Where it was a repetition, ``events`` is the one that was there already and nothing has changed.
    """

    before: Head
    head: Head
    events: list[Event]

    @property
    def is_new(self) -> bool:
        """Whether something was stored."""
        return self.head != self.before


def append_all(connection: Connection, orders: Sequence[Order]) -> list[Appended | AssistantError]:
    """Write the orders; gives for each what became of it, or why it was refused.

    Raises whatever else goes wrong: then none of them is stored.
    """
    writing, outcomes = _Writing(connection), dict[int, Appended | AssistantError]()
    # By conversation, so that two processes lock the same rows in the same order; each one's own order stays.
    for number in sorted(range(len(orders)), key=lambda number: orders[number].conversation_id):
        outcomes[number] = writing.outcome(orders[number])
    writing.save_heads()
    return [outcomes[number] for number in range(len(orders))]


class _Writing:
    """One transaction, and the heads as they stand in it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heads: dict[ConversationId, Head] = {}
        self._changed: set[ConversationId] = set()

    def outcome(self, order: Order) -> Appended | AssistantError:
        """Write the order, or give what it is refused with."""
        try:
            appended = self._prepared(order)
        except AssistantError as refusal:
            return refusal
        if appended.is_new:
            self._write(appended)
        return appended

    def save_heads(self) -> None:
        """Write where the conversations stand now."""
        rows = [_head_row(self._heads[conversation_id]) for conversation_id in sorted(self._changed)]
        if rows:
            self._connection.execute(statements.SAVE_HEAD, rows)

    def _prepared(self, order: Order) -> Appended:
        """What comes, decided and numbered. Raises what the order deserves."""
        found, opening = self._find_head(order.conversation_id), list[NewEvent]()
        if found is None:
            found, opening = _opened(order)
        elif earlier := self._earlier(order):
            return Appended(found, found, [earlier])
        head, stored = found, list[Event]()
        for item in (*opening, *(order.first(found) if order.first else ()), *order.new):
            head, event = _placed(head, item)
            stored.append(event)
        return Appended(found, head, stored)

    def _find_head(self, conversation_id: ConversationId) -> Head | None:
        known = self._heads.get(conversation_id)
        return known or find_head(self._connection, conversation_id, to_change=True)

    def _earlier(self, order: Order) -> Event | None:
        """The event that the order repeats. Raises `IdempotencyConflict` where its text was another."""
        for item in order.new:
            said = item.payload
            if not isinstance(said, Message | Note) or (sought := _sought(item.author, said)) is None:
                continue
            statement, key = sought
            row = self._connection.execute(statement, {"conversation_id": order.conversation_id} | key).one_or_none()
            if row is not None:
                return _same_text(event_of(row), said)
        return None

    def _write(self, appended: Appended) -> None:
        head = appended.head
        if appended.before.last_position == 0:
            self._connection.execute(statements.OPEN, asdict(head) | {"created_at": now(), "updated_at": now()})
        else:
            self._changed.add(head.conversation_id)
        self._heads[head.conversation_id] = head
        self._connection.execute(statements.INSERT_EVENTS, [_row(event) for event in appended.events])


def find_head(connection: Connection, conversation_id: ConversationId, *, to_change: bool = False) -> Head | None:
    """Where the conversation stands; ``to_change`` keeps other writers away from it."""
    statement = statements.HEAD_TO_CHANGE if to_change else statements.HEAD
    row = connection.execute(statement, {"conversation_id": conversation_id}).one_or_none()
    return head_of(row) if row else None


def head_of(row: Row[Any]) -> Head:
    """The head that a row of ``conversations`` holds."""
    return Head(**{name: getattr(row, name) for name in Head.__slots__})


def event_of(row: Row[Any]) -> Event:
    """The event that a row of ``events`` holds."""
    payload = from_record(row.kind, row.payload)
    return Event(ConversationId(row.conversation_id), row.position, row.seq, row.ts, row.author, payload)


def client_key(author: str, said: Message | Note) -> str | None:
    """What the sender's repetitions are known by: agents cannot meet the ids that customers choose."""
    return f"agent/{said.client_msg_id}" if said.client_msg_id and author == "agent" else said.client_msg_id


def unknown(conversation_id: ConversationId) -> UnknownConversation:
    """The error for a conversation that is not there."""
    return UnknownConversation(
        f"There is no conversation {conversation_id}.", fix="Leave conversation_id out to begin a new one."
    )


def _opened(order: Order) -> tuple[Head, list[NewEvent]]:
    """Where a new conversation stands before its first event, and that event."""
    opening = order.opening
    if opening is None:
        raise unknown(order.conversation_id)
    head = Head(order.conversation_id, opening.tenant, VisitorId(opening.visitor_id), opening.locale)
    return head, [NewEvent("system", opening)]


def _sought(author: str, said: Message | Note) -> tuple[Select[Any], dict[str, str]] | None:
    """How an event that this one repeats would be found; None where it repeats none."""
    if (key := client_key(author, said)) is not None:
        return statements.BY_CLIENT_KEY, {"client_msg_id": key}
    if isinstance(said, Message) and said.reply_to:
        return statements.BY_REPLY_TO, {"reply_to": said.reply_to}
    return None


def _placed(head: Head, item: NewEvent) -> tuple[Head, Event]:
    """The event in the next place, and where the conversation stands then."""
    payload, is_public = item.payload, visibility_of(item.payload) == "public"
    position, seq = head.last_position + 1, head.last_seq + is_public
    event = Event(head.conversation_id, position, seq if is_public else None, now(), item.author, payload)
    if isinstance(payload, State):
        head = replace(head, mode=payload.mode, assignee=payload.assignee_id)
    return replace(head, last_position=position, last_seq=seq), event


def _row(event: Event) -> dict[str, Any]:
    said = event.payload
    message = said if isinstance(said, Message) else None
    return {
        "conversation_id": event.conversation_id,
        "position": event.position,
        "seq": event.seq,
        "ts": event.ts,
        "kind": event.kind,
        "visibility": event.visibility,
        "author": event.author,
        "client_msg_id": client_key(event.author, said) if isinstance(said, Message | Note) else None,
        "message_id": message.message_id if message else None,
        "reply_to": message.reply_to if message else None,
        "payload": to_record(said),
    }


def _head_row(head: Head) -> dict[str, Any]:
    return {
        "changed_id": head.conversation_id,
        "epoch": head.epoch,
        "last_position": head.last_position,
        "last_seq": head.last_seq,
        "mode": head.mode,
        "assignee": head.assignee,
        "updated_at": now(),
    }


def _same_text(earlier: Event, said: Message | Note) -> Event:
    is_same = isinstance(earlier.payload, type(said)) and earlier.payload.text == said.text
    if said.client_msg_id and not is_same:
        raise IdempotencyConflict(
            f"client_msg_id {said.client_msg_id!r} was used for another text.",
            fix="Give every message an id of its own.",
        )
    return earlier
