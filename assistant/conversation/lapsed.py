"""Who customers were goes with what they said: identities of whom no conversation is left.

Bounds: `BATCH` visitors in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, MetaData, Table, delete, exists, or_, select

from assistant.conversation.customer_tables import customers, visitor_secrets
from assistant.conversation.database import Database
from assistant.conversation.tables import conversations, visitors

BATCH = 200
IDENTITIES = (visitor_secrets, customers)
"""What is known of a visitor beside what was said: who the site says they are, and their devices."""


async def forget_lapsed(database: Database, before: str) -> int:
    """Delete the identities of some visitors older than this time (ISO 8601, UTC); gives how many rows, 0 at the end.

    Nothing is left of what they said, and no device of theirs signed in since then. The visitor goes too, unless
    something still names them: a conversation's tombstones, the note that they were erased, or another table's row.
    """
    found = await database.read(lambda connection: _lapsed(connection, before))
    return await database.write(lambda connection: _forget(connection, before, found)) if found else 0


def _lapsed(connection: Connection, before: str, among: Sequence[str] | None = None) -> list[str]:
    """Visitors of whom a row can go; those who spoke or signed in meanwhile are no longer ``among`` them."""
    visitor_id = visitors.c.visitor_id
    has_identity = or_(*(_names(table, visitor_id) for table in IDENTITIES))
    query = select(visitor_id).where(
        visitors.c.created_at < before,
        ~_names(conversations, visitor_id, conversations.c.last_position > conversations.c.erased_upto),
        ~_names(visitor_secrets, visitor_id, visitor_secrets.c.created_at >= before),
        or_(has_identity, _is_free(connection)),
    )
    chosen = query.limit(BATCH) if among is None else query.where(visitor_id.in_(among))
    return list(connection.execute(chosen).scalars())


def _forget(connection: Connection, before: str, found: Sequence[str]) -> int:
    gone, num_rows = _lapsed(connection, before, found), 0
    for table in IDENTITIES:
        num_rows += connection.execute(delete(table).where(table.c.visitor_id.in_(gone))).rowcount
    free = visitors.c.visitor_id.in_(gone) & _is_free(connection)
    return num_rows + connection.execute(delete(visitors).where(free)).rowcount


def _is_free(connection: Connection) -> ColumnElement[bool]:
    """Whether nothing but their identity names a visitor, in whatever tables there are."""
    found = MetaData()
    found.reflect(connection)
    kept = {"visitors", *(table.name for table in IDENTITIES)}
    naming = [table for table in found.tables.values() if "visitor_id" in table.c and table.name not in kept]
    return ~or_(*(_names(table, visitors.c.visitor_id) for table in naming))


def _names(table: Table, visitor_id: ColumnElement[str], *more: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(table.c.visitor_id == visitor_id, *more)
