"""Everything the database holds about one visitor, for telling them. Secrets are named, never given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Connection, MetaData, Row, Select, Table, select

from assistant.conversation.database import Database
from assistant.conversation.erasure import NO_SECRET, Scope
from assistant.conversation.tables import conversations, events, visitors
from assistant.errors import UnknownVisitor

LOG = frozenset({"conversations", "events", "visitors", "alembic_version"})
HIDDEN = ("secret", "token", "hash", "password", "digest")
EVENTS_PER_READ = 500


class VisitorRecords:
    """Reads what is held about visitors. Works beside a running server: it only reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def visitor(self, visitor_id: str) -> dict[str, object]:
        """The visitor, and whether a secret exists. Raises `UnknownVisitor`."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(visitors).where(visitors.c.visitor_id == visitor_id))).one_or_none()
        if row is None:
            raise UnknownVisitor(f"There is no visitor {visitor_id}.", fix="Ids begin with v_; see the log lines.")
        return _shown(row) | {"has_secret": not row.secret_hash.startswith(NO_SECRET)}

    async def conversations(self, visitor_id: str) -> AsyncIterator[dict[str, object]]:
        """Each conversation with all its events, private ones included, the oldest first."""
        query = select(conversations).where(conversations.c.visitor_id == visitor_id)
        for row in await self._rows(query.order_by(conversations.c.created_at)):
            yield _shown(row) | {"events": await self._events(row.conversation_id)}

    async def other_rows(self, visitor_id: str) -> dict[str, list[dict[str, object]]]:
        """Every row of the other tables that names the visitor or a conversation of theirs, by table."""
        scope, found = Scope(visitor_id), dict[str, list[dict[str, object]]]()
        async with self._database.reading() as connection:
            tables = await connection.run_sync(_reflected)
        for table in tables:
            held = scope.holds(table)
            rows = await self._rows(select(table).where(held)) if held is not None else []
            if rows:
                found[table.name] = [_shown(row) for row in rows]
        return found

    async def _events(self, conversation_id: str) -> list[dict[str, object]]:
        told, after = list[dict[str, object]](), 0
        while True:
            query = select(events).where(events.c.conversation_id == conversation_id, events.c.position > after)
            page = await self._rows(query.order_by(events.c.position).limit(EVENTS_PER_READ))
            told += [_shown(row) for row in page]
            if len(page) < EVENTS_PER_READ:
                return told
            after = page[-1].position

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).all())


def _reflected(connection: Connection) -> list[Table]:
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name not in LOG]


def _shown(row: Row[Any]) -> dict[str, object]:
    """The row without secrets and their hashes."""
    return {name: value for name, value in row._asdict().items() if not any(word in name for word in HIDDEN)}
