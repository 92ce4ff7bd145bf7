"""Erasing in the log: what was said becomes tombstones that keep their numbers, other rows that name the visitor go.

Which other tables name visitors or conversations is read from the database itself: a new table is covered without
being listed here. Every step is one transaction and may be done again after a crash.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    MetaData,
    Row,
    Select,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.erasure_tables import erasures
from assistant.conversation.events import ConversationId, Erased, ErasureReason, now, to_record
from assistant.conversation.lapsed import forget_lapsed
from assistant.conversation.tables import conversations, events, visitors
from assistant.errors import UnknownVisitor

NO_SECRET = "erased:"  # noqa: S105  (in place of a hash; none begins so)
OWN_TABLES = frozenset({"visitors", "conversations", "events", "erasures", "alembic_version"})
MAX_PENDING = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """What is erased: all of a visitor, or some conversations."""

    visitor_id: str | None = None
    conversation_ids: Sequence[str] = ()

    def holds(self, table: Table) -> ColumnElement[bool] | None:
        """Which rows of a table belong to it; None where the table names neither visitors nor conversations."""
        columns, conditions = table.c, list[ColumnElement[bool]]()
        if self.visitor_id is not None and "visitor_id" in columns:
            conditions.append(columns.visitor_id == self.visitor_id)
        if "conversation_id" in columns:
            conditions.append(self._is_in(columns.conversation_id))
        return or_(*conditions) if conditions else None

    def _is_in(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        if self.visitor_id is None:
            return column.in_(self.conversation_ids)
        theirs = select(conversations.c.conversation_id).where(conversations.c.visitor_id == self.visitor_id)
        return column.in_(theirs)


class ErasableLog:
    """The log as erasing sees it."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def begin(self, visitor_id: str) -> None:
        """Note that the visitor is to be erased, and let nobody in with their secret. Raises `UnknownVisitor`."""
        this = visitors.c.visitor_id == visitor_id
        async with self._database.writing() as connection:
            if (await connection.execute(select(visitors).where(this))).first() is None:
                raise UnknownVisitor(f"There is no visitor {visitor_id}.", fix="Ids begin with v_; see the log lines.")
            values = {"secret_hash": NO_SECRET + secrets.token_hex(24), "revoked_at": now()}
            has_secret = visitors.c.secret_hash.not_like(NO_SECRET + "%")
            await connection.execute(update(visitors).where(this, has_secret).values(values))
            await self._note_begun(connection, visitor_id)

    async def pending(self) -> list[str]:
        """Who is not erased wholly: a crash came between, or something was still written after it."""
        late = select(conversations.c.visitor_id).where(conversations.c.last_position > conversations.c.erased_upto)
        is_open = erasures.c.finished_at.is_(None) | erasures.c.visitor_id.in_(late)
        query = select(erasures.c.visitor_id).where(is_open).order_by(erasures.c.requested_at).limit(MAX_PENDING)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def note(self, visitor_id: str, notes: Sequence[str]) -> list[str]:
        """Keep what has to be done beside the erasure; gives everything noted so far."""
        this = erasures.c.visitor_id == visitor_id
        async with self._database.writing() as connection:
            earlier = (await connection.execute(select(erasures.c.notes).where(this))).scalar_one()
            together = list(dict.fromkeys([*earlier, *notes]))
            await connection.execute(update(erasures).where(this).values(notes=together))
        return together

    async def finish(self, visitor_id: str) -> None:
        """Note that all is done."""
        async with self._database.writing() as connection:
            this = erasures.c.visitor_id == visitor_id
            await connection.execute(update(erasures).where(this).values(finished_at=now()))

    async def conversations_of(self, visitor_id: str) -> list[str]:
        """All of a visitor's conversations, the oldest first."""
        columns = conversations.c
        query = select(columns.conversation_id).where(columns.visitor_id == visitor_id).order_by(columns.created_at)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def expired(self, before: str, *, limit: int) -> list[str]:
        """Conversations of which something is left and whose last event is older than this time, the oldest first."""
        columns = conversations.c
        is_old = and_(columns.updated_at < before, columns.last_position > columns.erased_upto)
        query = select(columns.conversation_id).where(is_old).order_by(columns.updated_at).limit(limit)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def num_expired(self, before: str) -> int:
        """How many there are."""
        columns = conversations.c
        query = select(func.count()).where(columns.updated_at < before, columns.last_position > columns.erased_upto)
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def ids(self, *, visitor_id: str | None = None, conversation_ids: Sequence[str] = ()) -> set[str]:
        """Every id under which something of it may be kept elsewhere: visitor, conversations, messages, files."""
        scope, found = Scope(visitor_id, conversation_ids), {visitor_id or ""}
        async with self._database.reading() as connection:
            for column in (conversations.c.conversation_id, events.c.message_id):
                held = scope.holds(column.table)
                assert held is not None, "both name conversations"
                found.update((await connection.execute(select(column).where(held))).scalars())
            for table in await connection.run_sync(_other_tables):
                keys = [key for key in table.primary_key if isinstance(key.type, String) and _may_be_told(key.name)]
                held = scope.holds(table)
                if len(table.primary_key) == 1 and keys and held is not None:
                    found.update((await connection.execute(select(keys[0]).where(held))).scalars())
        return {one for one in found if one}

    async def blank(self, conversation_id: str, *, reason: ErasureReason) -> int:
        """Make tombstones of all events and record that, in one transaction; gives how many there were.

        The epoch rises, so that clients which have some of it begin anew. On request the conversation is closed too.
        """
        this = events.c.conversation_id == conversation_id
        async with self._database.writing() as connection:
            head = (await connection.execute(_locked(conversation_id))).one_or_none()  # nobody appends meanwhile
            if head is None:
                return 0
            gone = {column.name: None for column in events.c if column.nullable and column.name != "seq"}
            blanking = update(events).where(this, events.c.kind != "erased")
            blanked = await connection.execute(blanking.values(**gone, kind="erased", payload={}))
            if blanked.rowcount:
                await self._record(connection, head, Erased(reason, blanked.rowcount))
        self._bus.wake(ConversationId(conversation_id), committed=True)
        return int(blanked.rowcount)

    async def forget(self, *, visitor_id: str | None = None, conversation_ids: Sequence[str] = ()) -> int:
        """Delete every row of other tables that names what is erased; gives how many there were."""
        scope, num_rows = Scope(visitor_id, conversation_ids), 0
        async with self._database.writing() as connection:
            for table in await connection.run_sync(_other_tables):
                held = scope.holds(table)
                if held is not None:
                    num_rows += (await connection.execute(delete(table).where(held))).rowcount
        return num_rows

    async def forget_lapsed(self, before: str) -> int:
        """Delete some identities of whom nothing is left since this time; gives how many rows, 0 at the end."""
        return await forget_lapsed(self._database, before)

    async def scrub(self, *, rebuild: bool) -> bool:
        """As `Database.scrub`."""
        return await self._database.scrub(rebuild=rebuild)

    async def _note_begun(self, connection: AsyncConnection, visitor_id: str) -> None:
        this = erasures.c.visitor_id == visitor_id
        again = await connection.execute(update(erasures).where(this).values(finished_at=None))
        if not again.rowcount:
            values = {"visitor_id": visitor_id, "requested_at": now(), "notes": []}
            await connection.execute(insert(erasures).values(values))

    async def _record(self, connection: AsyncConnection, head: Row[Any], erased: Erased) -> None:
        position, seq, is_asked_for = head.last_position + 1, head.last_seq + 1, erased.reason == "request"
        row = {
            "conversation_id": head.conversation_id,
            "position": position,
            "seq": seq,
            "ts": now(),
            "kind": "erased",
            "visibility": "public",
            "author": "system",
            "payload": to_record(erased),
        }
        await connection.execute(insert(events).values(row))
        values = {
            "epoch": head.epoch + 1,
            "last_position": position,
            "last_seq": seq,
            "erased_upto": position,
            "locale": "",
            "mode": "closed" if is_asked_for else "bot",
            "assignee": None,
            "updated_at": now() if is_asked_for else head.updated_at,
        }
        this = conversations.c.conversation_id == head.conversation_id
        await connection.execute(update(conversations).where(this).values(values))


def _locked(conversation_id: str) -> Select[Any]:
    return select(conversations).where(conversations.c.conversation_id == conversation_id).with_for_update()


def _other_tables(connection: Connection) -> list[Table]:
    """The tables beside the log's own, children before what they refer to."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in reversed(found.sorted_tables) if table.name not in OWN_TABLES]


def _may_be_told(column: str) -> bool:
    """Whether a column holds no secret, not even as a hash."""
    return not any(word in column for word in ("secret", "token", "hash", "password", "digest"))
