"""The append-only conversation log: what happened, numbered, committed before anybody is told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Select, and_, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
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
from assistant.conversation.tables import conversations, events
from assistant.errors import IdempotencyConflict, UnknownConversation

MAX_EVENTS_PER_READ = 500
MAX_REMEMBERED = 10_000  # conversations whose last commit here is known
MAX_CONVERSATIONS_PER_READ = 100


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


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation among others, and when it began."""

    head: Head
    created_at: str


Deciding = Callable[[Head], Sequence[NewEvent]]
"""What comes first, given where the conversation stands; it raises where nothing may come."""


class ConversationLog:
    """Appends and reads events. Positions rise by exactly one, across processes too."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._appended: OrderedDict[ConversationId, int] = OrderedDict()

    async def append(
        self,
        conversation_id: ConversationId,
        new: Sequence[NewEvent],
        *,
        opening: Opened | None = None,
        first: Deciding | None = None,
    ) -> list[Event]:
        """Commit events in order, then wake the watchers. ``opening`` makes the conversation where it is new.

        ``first`` decides what comes before them, inside the transaction: no other process can change the head
        meanwhile, and what it raises leaves no trace.

        A message whose ``client_msg_id`` is there already is not stored again: its first event is returned,
        or `IdempotencyConflict` raised where the text differs. Likewise a second answer to one message gives
        the first. Raises `UnknownConversation` without a conversation, `StorageError` where the disk refuses.
        """
        async with self._database.writing() as connection:
            head = await self._find_head(connection, conversation_id, for_update=True)
            if head is None:
                head, before = await self._open(connection, conversation_id, opening), _opened(opening)
            elif earlier := await self._repeated(connection, conversation_id, new):
                return [earlier]
            else:
                before = []
            new = [*before, *(first(head) if first else ()), *new]
            stored = []
            for item in new:
                head = _advance(head, item)
                stored.append(await self._insert(connection, head, item))
            await self._save_head(connection, head)
        self._remember(head)
        self._bus.wake(conversation_id, committed=True)
        return stored

    def is_from_elsewhere(self, conversation_id: ConversationId, position: int) -> bool:
        """Whether another process committed this position, as far as is remembered here."""
        return position > self._appended.get(conversation_id, 0)

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

    async def state_before(self, conversation_id: ConversationId, position: int) -> State | None:
        """The last state before this position; None while it is the first."""
        chosen = _of(conversation_id).where(events.c.kind == "state", events.c.position < position)
        found = await self._read(chosen.order_by(events.c.position.desc()).limit(1))
        return found[0].payload if found and isinstance(found[0].payload, State) else None

    async def recent_actions(self, conversation_id: ConversationId, *, limit: int) -> list[Event]:
        """The last ``limit`` steps of business actions, oldest first."""
        chosen = _of(conversation_id).where(events.c.kind == "action")
        return (await self._read(chosen.order_by(events.c.position.desc()).limit(limit)))[::-1]

    async def message(self, conversation_id: ConversationId, message_id: str) -> Event | None:
        """One message by its id."""
        found = await self._read(_of(conversation_id).where(events.c.message_id == message_id))
        return found[0] if found else None

    async def conversations_of(
        self, visitor_id: VisitorId, *, before: ConversationId | None = None, limit: int = MAX_CONVERSATIONS_PER_READ
    ) -> list[Listed]:
        """A visitor's conversations, the newest first; ``before`` one of them: only older ones."""
        columns = conversations.c
        query = select(conversations).where(columns.visitor_id == visitor_id)
        if before is not None:
            began = select(columns.created_at).where(columns.conversation_id == before).scalar_subquery()
            same = and_(columns.created_at == began, columns.conversation_id < before)
            query = query.where(or_(columns.created_at < began, same))
        newest_first = query.order_by(columns.created_at.desc(), columns.conversation_id.desc()).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(newest_first)).all()
        return [Listed(_head(row), row.created_at) for row in rows]

    async def client_message(self, conversation_id: ConversationId, client_msg_id: str) -> Event | None:
        """The message a client sent under this id."""
        found = await self._read(_of(conversation_id).where(events.c.client_msg_id == client_msg_id))
        return found[0] if found else None

    async def unanswered(
        self, conversation_id: ConversationId | None = None, *, since: str | None = None
    ) -> list[Event]:
        """Customers' messages that still wait for the assistant, oldest first: what a crash interrupted.

        What came before a person's reply or before the closing waits no more. Without a ``conversation_id``: of all,
        or of those where something happened ``since`` then (a time as in ``Event.ts``).
        """
        answer, later = events.alias("answer"), events.alias("later")
        answered = (answer.c.conversation_id == events.c.conversation_id) & (answer.c.reply_to == events.c.message_id)
        query = (
            select(events)
            .join(conversations, conversations.c.conversation_id == events.c.conversation_id)
            .outerjoin(answer, answered)
            .where(events.c.kind == "message", events.c.author == "customer")
            .where(answer.c.position.is_(None), conversations.c.mode.in_(("bot", "waiting")))
            .where(~exists().where(_settles(later), later.c.position > events.c.position))
            .order_by(events.c.ts, events.c.position)
        )
        if conversation_id is not None:
            query = query.where(events.c.conversation_id == conversation_id)
        if since is not None:
            query = query.where(conversations.c.updated_at >= since)
        return await self._read(query)

    def _remember(self, head: Head) -> None:
        self._appended[head.conversation_id] = head.last_position
        self._appended.move_to_end(head.conversation_id)
        if len(self._appended) > MAX_REMEMBERED:
            self._appended.popitem(last=False)

    async def _read(self, query: Select[Any]) -> list[Event]:
        async with self._database.reading() as connection:
            return [_event(row) for row in (await connection.execute(query)).all()]

    async def _find_head(
        self, connection: AsyncConnection, conversation_id: ConversationId, *, for_update: bool = False
    ) -> Head | None:
        query = select(conversations).where(conversations.c.conversation_id == conversation_id)
        query = query.with_for_update() if for_update else query  # SQLite's writers are alone in any case
        row = (await connection.execute(query)).one_or_none()
        return _head(row) if row else None

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
        for item in new:
            said = item.payload
            if not isinstance(said, Message | Note):
                continue
            if (key := _client_key(item)) is not None:
                same = events.c.client_msg_id == key
            elif isinstance(said, Message) and said.reply_to:
                same = events.c.reply_to == said.reply_to
            else:
                continue
            row = (await connection.execute(_of(conversation_id).where(same))).one_or_none()
            if row is not None:
                return _same_text(_event(row), said)
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
            "client_msg_id": _client_key(item),
            "message_id": message.message_id if message else None,
            "reply_to": message.reply_to if message else None,
            "payload": to_record(item.payload),
        }
        await connection.execute(insert(events).values(row))
        return stored


def _client_key(item: NewEvent) -> str | None:
    """What the sender's repetitions are known by: agents cannot meet the ids that customers choose."""
    given = item.payload.client_msg_id if isinstance(item.payload, Message | Note) else None
    return f"agent/{given}" if given and item.author == "agent" else given


def _settles(later: FromClause) -> ColumnElement[bool]:
    """Whether a later event of the conversation says that a person has dealt with what came before."""
    is_reply = and_(later.c.kind == "message", later.c.author == "agent")
    is_closing = and_(later.c.kind == "state", later.c.payload["mode"].as_string() == "closed")
    return and_(later.c.conversation_id == events.c.conversation_id, or_(is_reply, is_closing))


def _of(conversation_id: ConversationId) -> Select[Any]:
    return select(events).where(events.c.conversation_id == conversation_id)


def _opened(opening: Opened | None) -> list[NewEvent]:
    return [NewEvent("system", opening)] if opening else []


def _advance(head: Head, item: NewEvent) -> Head:
    public = visibility_of(item.payload) == "public"
    return replace(
        head,
        last_position=head.last_position + 1,
        last_seq=head.last_seq + public,
        mode=item.payload.mode if isinstance(item.payload, State) else head.mode,
        assignee=item.payload.assignee_id if isinstance(item.payload, State) else head.assignee,
    )


def _same_text(earlier: Event, said: Message | Note) -> Event:
    is_same = isinstance(earlier.payload, type(said)) and earlier.payload.text == said.text
    if said.client_msg_id and not is_same:
        raise IdempotencyConflict(
            f"client_msg_id {said.client_msg_id!r} was used for another text.",
            fix="Give every message an id of its own.",
        )
    return earlier


def _head(row: Row[Any]) -> Head:
    return Head(**{name: getattr(row, name) for name in Head.__slots__})


def _event(row: Row[Any]) -> Event:
    payload = from_record(row.kind, row.payload)
    return Event(ConversationId(row.conversation_id), row.position, row.seq, row.ts, row.author, payload)


def _unknown(conversation_id: ConversationId) -> UnknownConversation:
    return UnknownConversation(
        f"There is no conversation {conversation_id}.", fix="Leave conversation_id out to begin a new one."
    )
