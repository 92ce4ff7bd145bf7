"""The append-only conversation log: what happened, numbered, committed before anybody is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import (
    ConversationId,
    Event,
    Message,
    Mode,
    NewEvent,
    Opened,
    State,
    VisitorId,
    from_record,
    now,
    to_record,
    visibility_of,
)
from assistant.conversation.tables import conversations, events
from assistant.errors import IdempotencyConflict, UnknownConversation

MAX_EVENTS_PER_READ = 500


@dataclass(frozen=True, slots=True)
class Head:
    """Where a conversation stands."""

    conversation_id: ConversationId
    tenant: str
    visitor_id: VisitorId
    locale: str
    epoch: int = 1
    last_position: int = 0
    last_seq: int = 0
    mode: Mode = "bot"


class ConversationLog:
    """Appends and reads events. Positions rise by exactly one, across processes too."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def append(
        self, conversation_id: ConversationId, new: Sequence[NewEvent], *, opening: Opened | None = None
    ) -> list[Event]:
        """Commit events in order, then wake the watchers. ``opening`` makes the conversation where it is new.

        A message whose ``client_msg_id`` is there already is not stored again: its first event is returned,
        or `IdempotencyConflict` raised where the text differs. Likewise a second answer to one message gives
        the first. Raises `UnknownConversation` without a conversation, `StorageError` where the disk refuses.
        """
        async with self._database.writing() as connection:
            head = await self._find_head(connection, conversation_id)
            if head is None:
                head, new = await self._open(connection, conversation_id, opening), _opened_first(opening, new)
            elif earlier := await self._repeated(connection, conversation_id, new):
                return [earlier]
            stored = []
            for item in new:
                head = _advance(head, item)
                stored.append(await self._insert(connection, head, item))
            await self._save_head(connection, head)
        self._bus.wake(conversation_id, committed=True)
        return stored

    async def head(self, conversation_id: ConversationId) -> Head:
        """Where the conversation stands. Raises `UnknownConversation`."""
        async with self._database.reading() as connection:
            head = await self._find_head(connection, conversation_id)
        if head is None:
            raise _unknown(conversation_id)
        return head

    async def public_events(
        self, conversation_id: ConversationId, *, after_seq: int = 0, limit: int = MAX_EVENTS_PER_READ
    ) -> list[Event]:
        """What a visitor may see after ``after_seq``, in order."""
        chosen = _of(conversation_id).where(events.c.seq > after_seq)
        return await self._read(chosen.order_by(events.c.seq).limit(limit))

    async def events(
        self, conversation_id: ConversationId, *, after_position: int = 0, limit: int = MAX_EVENTS_PER_READ
    ) -> list[Event]:
        """All events after ``after_position`` in order, private ones included."""
        chosen = _of(conversation_id).where(events.c.position > after_position)
        return await self._read(chosen.order_by(events.c.position).limit(limit))

    async def recent_messages(self, conversation_id: ConversationId, *, limit: int) -> list[Event]:
        """The last ``limit`` messages, oldest first."""
        chosen = _of(conversation_id).where(events.c.kind == "message")
        return (await self._read(chosen.order_by(events.c.position.desc()).limit(limit)))[::-1]

    async def recent_actions(self, conversation_id: ConversationId, *, limit: int) -> list[Event]:
        """The last ``limit`` steps of business actions, oldest first."""
        chosen = _of(conversation_id).where(events.c.kind == "action")
        return (await self._read(chosen.order_by(events.c.position.desc()).limit(limit)))[::-1]

    async def message(self, conversation_id: ConversationId, message_id: str) -> Event | None:
        """One message by its id."""
        found = await self._read(_of(conversation_id).where(events.c.message_id == message_id))
        return found[0] if found else None

    async def client_message(self, conversation_id: ConversationId, client_msg_id: str) -> Event | None:
        """The message a client sent under this id."""
        found = await self._read(_of(conversation_id).where(events.c.client_msg_id == client_msg_id))
        return found[0] if found else None

    async def unanswered(self) -> list[Event]:
        """Customers' messages that still wait for the assistant, oldest first: what a crash interrupted."""
        answer = events.alias("answer")
        answered = (answer.c.conversation_id == events.c.conversation_id) & (answer.c.reply_to == events.c.message_id)
        query = (
            select(events)
            .join(conversations, conversations.c.conversation_id == events.c.conversation_id)
            .outerjoin(answer, answered)
            .where(events.c.kind == "message", events.c.author == "customer")
            .where(answer.c.position.is_(None), conversations.c.mode.in_(("bot", "waiting")))
            .order_by(events.c.ts, events.c.position)
        )
        return await self._read(query)

    async def _read(self, query: Select[Any]) -> list[Event]:
        async with self._database.reading() as connection:
            return [_event(row) for row in (await connection.execute(query)).all()]

    async def _find_head(self, connection: AsyncConnection, conversation_id: ConversationId) -> Head | None:
        query = select(conversations).where(conversations.c.conversation_id == conversation_id)
        row = (await connection.execute(query)).one_or_none()
        return Head(**{name: getattr(row, name) for name in Head.__slots__}) if row else None

    async def _open(self, connection: AsyncConnection, conversation_id: ConversationId, opening: Opened | None) -> Head:
        if opening is None:
            raise _unknown(conversation_id)
        head = Head(conversation_id, opening.tenant, VisitorId(opening.visitor_id), opening.locale)
        await connection.execute(insert(conversations).values(**asdict(head), created_at=now(), updated_at=now()))
        return head

    async def _save_head(self, connection: AsyncConnection, head: Head) -> None:
        this = conversations.c.conversation_id == head.conversation_id
        await connection.execute(update(conversations).where(this).values(**asdict(head), updated_at=now()))

    async def _repeated(
        self, connection: AsyncConnection, conversation_id: ConversationId, new: Sequence[NewEvent]
    ) -> Event | None:
        for message in (item.payload for item in new if isinstance(item.payload, Message)):
            if message.client_msg_id:
                same = events.c.client_msg_id == message.client_msg_id
            elif message.reply_to:
                same = events.c.reply_to == message.reply_to
            else:
                continue
            row = (await connection.execute(_of(conversation_id).where(same))).one_or_none()
            if row is not None:
                return _same_text(_event(row), message)
        return None

    async def _insert(self, connection: AsyncConnection, head: Head, item: NewEvent) -> Event:
        public = visibility_of(item.payload) == "public"
        seq = head.last_seq if public else None
        stored = Event(head.conversation_id, head.last_position, seq, now(), item.author, item.payload)
        message = item.payload if isinstance(item.payload, Message) else None
        row = {
            "conversation_id": stored.conversation_id,
            "position": stored.position,
            "seq": stored.seq,
            "ts": stored.ts,
            "kind": stored.kind,
            "visibility": stored.visibility,
            "author": stored.author,
            "client_msg_id": message.client_msg_id if message else None,
            "message_id": message.message_id if message else None,
            "reply_to": message.reply_to if message else None,
            "payload": to_record(item.payload),
        }
        await connection.execute(insert(events).values(row))
        return stored


def _of(conversation_id: ConversationId) -> Select[Any]:
    return select(events).where(events.c.conversation_id == conversation_id)


def _opened_first(opening: Opened | None, new: Sequence[NewEvent]) -> list[NewEvent]:
    return [*([NewEvent("system", opening)] if opening else []), *new]


def _advance(head: Head, item: NewEvent) -> Head:
    public = visibility_of(item.payload) == "public"
    return replace(
        head,
        last_position=head.last_position + 1,
        last_seq=head.last_seq + public,
        mode=item.payload.mode if isinstance(item.payload, State) else head.mode,
    )


def _same_text(earlier: Event, message: Message) -> Event:
    assert isinstance(earlier.payload, Message)
    if message.client_msg_id and earlier.payload.text != message.text:
        raise IdempotencyConflict(
            f"client_msg_id {message.client_msg_id!r} was used for another text.",
            fix="Give every message an id of its own.",
        )
    return earlier


def _event(row: Row[Any]) -> Event:
    payload = from_record(row.kind, row.payload)
    return Event(ConversationId(row.conversation_id), row.position, row.seq, row.ts, row.author, payload)


def _unknown(conversation_id: ConversationId) -> UnknownConversation:
    return UnknownConversation(
        f"There is no conversation {conversation_id}.", fix="Leave conversation_id out to begin a new one."
    )
