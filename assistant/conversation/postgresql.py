"""What is PostgreSQL's own: bounds of a session, one migration at a time, collisions, and cleaning up after erasures.

Bounds: `SESSION` for every statement and lock; `SCRUB_LOCK_MS` for the table that is rebuilt, since everybody else
waits behind; `MAX_REBUILT_BYTES` of tables are rebuilt.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

CONNECT_S = 10
SESSION = {
    "application_name": "service-assistant",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}
ENGINE: dict[str, Any] = {
    "pool_pre_ping": True,  # a server that was restarted costs a new connection, and no answer
    "pool_size": 10,
    "max_overflow": 10,
    "pool_timeout": CONNECT_S,
    "connect_args": {"timeout": CONNECT_S, "server_settings": SESSION},
}
SCRUB_LOCK_MS = 2_000
MAX_REBUILT_BYTES = 1_073_741_824
OWN_TABLES = """
SELECT
  string_agg(quote_ident(tablename), ', ') AS names,
  sum(pg_total_relation_size(quote_ident(tablename)::regclass)) AS bytes
FROM pg_tables WHERE schemaname = current_schema()
"""
MIGRATIONS = 7_265_481  # any number of our own: the key of an advisory lock

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE, DEADLOCK, LOCK_NOT_AVAILABLE, CANCELED = "40001", "40P01", "55P03", "57014"


def lock_migrations(connection: Connection) -> None:
    """Wait until no other process changes the tables; the lock ends with the transaction."""
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATIONS})


def is_collision(error: DBAPIError) -> bool:
    """Whether another process was faster, so that the same work done again finds what that one has written."""
    return isinstance(error, IntegrityError) or _code(error) in (SERIALIZATION_FAILURE, DEADLOCK)


async def scrub(connection: AsyncConnection, *, rebuild: bool) -> bool:
    """Free deleted rows, or write the tables anew without them; False where somebody else needs one of them.

    ``connection`` is in no transaction. What is in the WAL, in replicas and in backups ages by their own rules.
    """
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    own = (await connection.exec_driver_sql(OWN_TABLES)).mappings().one()
    full = "(FULL)" if rebuild and own["bytes"] <= MAX_REBUILT_BYTES else ""
    await connection.exec_driver_sql("SET statement_timeout = 0")
    await connection.exec_driver_sql(f"SET lock_timeout = {SCRUB_LOCK_MS}")
    try:
        await connection.exec_driver_sql(f"VACUUM {full} {own['names']}")
    except DBAPIError as error:
        if _code(error) in (LOCK_NOT_AVAILABLE, CANCELED, DEADLOCK):
            return False
        raise
    finally:
        await connection.exec_driver_sql("RESET ALL")
    return True


def _code(error: DBAPIError) -> str:
    return str(error.orig.sqlstate) if isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.Error) else ""
