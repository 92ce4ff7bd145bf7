"""The append-only conversation log: what happened, numbered, committed before anybody is told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select

from assistant.conversation import statements
from assistant.conversation.appending import Appended, Deciding, Head, Order, event_of, find_head, head_of, unknown
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event, NewEvent, Opened, State, VisitorId
from assistant.conversation.group_commit import GroupCommit
from assistant.conversation.tables import conversations

__all__ = [
    "MAX_CONVERSATIONS_PER_READ",
    "MAX_EVENTS_PER_READ",
    "ConversationLog",
    "Deciding",
    "Head",
    "Listed",
]

MAX_EVENTS_PER_READ = 500
MAX_REMEMBERED = 10_000  # conversations whose last commit here is known
MAX_CONVERSATIONS_PER_READ = 100
END = 2**31 - 1  # after every position


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation among others, and when it began."""

    head: Head
    created_at: str


class ConversationLog:
    """Appends and reads events. Positions rise by exactly one, across processes too."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._commits = GroupCommit(database, self._publish)
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
        appended = await self._commits.append(Order(conversation_id, new, opening, first))
        return appended.events

    def is_from_elsewhere(self, conversation_id: ConversationId, position: int) -> bool:
        """Whether another process committed this position, as far as is remembered here."""
        return position > self._appended.get(conversation_id, 0)

    async def head(self, conversation_id: ConversationId) -> Head:
        """Where the conversation stands. Raises `UnknownConversation`."""
        head = await self._database.read(lambda connection: find_head(connection, conversation_id))
        if head is None:
            raise unknown(conversation_id)
        return head

    async def told_head(self, conversation_id: ConversationId) -> Head:
        """As `head`, or where it stood when its watchers were last told: enough for what ``first`` checks again."""
        return self._bus.recent(conversation_id).head or await self.head(conversation_id)

    async def public_events(
        self, conversation_id: ConversationId, *, after_seq: int = 0, limit: int = MAX_EVENTS_PER_READ
    ) -> list[Event]:
        """What a visitor may see after ``after_seq``, in order."""
        return await self._read(statements.PUBLIC_AFTER, conversation_id, after=after_seq, limit=limit)

    def told_events(self, conversation_id: ConversationId, *, after_seq: int) -> list[Event] | None:
        """All public events after ``after_seq``, where watchers were just told of them all; None: they must be read."""
        return self._bus.recent(conversation_id).public_after(after_seq)

    async def events(
        self, conversation_id: ConversationId, *, after_position: int = 0, limit: int = MAX_EVENTS_PER_READ
    ) -> list[Event]:
        """All events after ``after_position`` in order, private ones included."""
        return await self._read(statements.AFTER, conversation_id, after=after_position, limit=limit)

    async def recent_messages(
        self, conversation_id: ConversationId, *, limit: int, before: int | None = None
    ) -> list[Event]:
        """The last ``limit`` messages (before this position), oldest first, as of when watchers were last told."""
        told = self._bus.recent(conversation_id).messages_before(before, limit=limit)
        return await self._latest("message", conversation_id, before, limit) if told is None else told

    async def state_before(self, conversation_id: ConversationId, position: int) -> State | None:
        """The last state before this position; None while it is the first."""
        found = await self._latest("state", conversation_id, position, 1)
        return found[0].payload if found and isinstance(found[0].payload, State) else None

    async def recent_actions(self, conversation_id: ConversationId, *, limit: int) -> list[Event]:
        """The last ``limit`` steps of business actions, oldest first."""
        return await self._latest("action", conversation_id, None, limit)

    async def message(self, conversation_id: ConversationId, message_id: str) -> Event | None:
        """One message by its id."""
        found = await self._read(statements.MESSAGE, conversation_id, message_id=message_id)
        return found[0] if found else None

    async def client_message(self, conversation_id: ConversationId, client_msg_id: str) -> Event | None:
        """The message a client sent under this id."""
        found = await self._read(statements.BY_CLIENT_KEY, conversation_id, client_msg_id=client_msg_id)
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
        return [Listed(head_of(row), row.created_at) for row in rows]

    async def unanswered(
        self, conversation_id: ConversationId | None = None, *, since: str | None = None
    ) -> list[Event]:
        """Customers' messages that still wait for the assistant, oldest first: what a crash interrupted.

        What came before a person's reply or before the closing waits no more. Without a ``conversation_id``: of all,
        or of those where something happened ``since`` then (a time as in ``Event.ts``).
        """
        if conversation_id is not None:
            return await self._read(statements.UNANSWERED_IN, conversation_id)
        if since is not None:
            return await self._read(statements.UNANSWERED_SINCE, since=since)
        return await self._read(statements.UNANSWERED)

    def _publish(self, appended: Appended) -> None:
        head = appended.head
        self._appended[head.conversation_id] = head.last_position
        self._appended.move_to_end(head.conversation_id)
        if len(self._appended) > MAX_REMEMBERED:
            self._appended.popitem(last=False)
        self._bus.publish(appended)

    async def _latest(self, kind: str, conversation_id: ConversationId, before: int | None, limit: int) -> list[Event]:
        """The last ``limit`` events of this kind before this position, oldest first."""
        upto = END if before is None else before
        found = await self._read(statements.LATEST_OF_KIND, conversation_id, kind=kind, before=upto, limit=limit)
        return found[::-1]

    async def _read(
        self, statement: Select[Any], conversation_id: ConversationId | None = None, **parameters: object
    ) -> list[Event]:
        if conversation_id is not None:
            parameters["conversation_id"] = conversation_id

        def read(connection: Connection) -> list[Event]:
            return [event_of(row) for row in connection.execute(statement, parameters)]

        return await self._database.read(read)
