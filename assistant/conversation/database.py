"""The database under the log: one engine, many readers, one writer at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from assistant.conversation.sqlite_driver import connect
from assistant.errors import StorageError

BUSY_TIMEOUT_MS = 10_000
MAX_REBUILT_BYTES = 1_073_741_824


class Database:
    """Connections to SQLite, or to any database SQLAlchemy's async engine speaks to."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._writing = asyncio.Lock()
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Connect and bring the tables up to date. Raises `StorageError` where the disk refuses."""
        try:
            self._engine = self._make_engine()
            async with self._engine.connect() as connection:
                await connection.run_sync(_upgrade)
                await connection.commit()
        except (DatabaseError, OSError) as error:
            await self.close()
            cause = error.orig if isinstance(error, DatabaseError) else error
            raise StorageError(
                f"The conversation log {self._url.render_as_string()} cannot be opened: {cause}.",
                fix="Check that its folder is writable, the disk is not full, and the file is a database of ours.",
            ) from error

    async def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees what is committed."""
        assert self._engine is not None, "open() the database first"
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end, or leaves no trace. Raises `StorageError`."""
        assert self._engine is not None, "open() the database first"
        async with self._writing, self._engine.connect() as plain:
            connection = await plain.execution_options(writes=True)
            try:
                async with connection.begin():
                    yield connection
            except DatabaseError as error:
                raise StorageError(
                    f"The conversation log did not take it: {error.orig}.",
                    fix="Free some space on the disk of data_dir, then send it again.",
                ) from error

    async def scrub(self, *, rebuild: bool) -> bool:
        """Make what was deleted or overwritten unreadable in the files too; False where somebody still reads it.

        SQLite overwrites deleted bytes at once (``secure_delete``); this empties the WAL, which holds older pages, and
        with ``rebuild`` writes the database anew, since moved index entries leave copies behind. That blocks writers,
        about a second for 100 MB, and is left out above `MAX_REBUILT_BYTES`. PostgreSQL frees the rows (``VACUUM``);
        its WAL and backups age by their own rules.
        """
        assert self._engine is not None, "open() the database first"
        async with self._writing, self._engine.connect() as connection:
            if not self._is_sqlite:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.exec_driver_sql("VACUUM events")
                return True
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, aiosqlite.Connection), "the driver of sqlite+aiosqlite"
            return await _scrub_sqlite(raw, rebuild=rebuild)

    def _make_engine(self) -> AsyncEngine:
        if not self._is_sqlite:
            return create_async_engine(self._url, pool_pre_ping=True)
        assert self._url.database, "an SQLite address names its file"
        Path(self._url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._url.database
        engine = create_async_engine(self._url, async_creator=lambda: connect(path))
        event.listen(engine.sync_engine, "connect", _tune_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine


async def _scrub_sqlite(raw: aiosqlite.Connection, *, rebuild: bool) -> bool:
    try:
        if rebuild and await _num_bytes(raw) <= MAX_REBUILT_BYTES:
            await raw.execute("VACUUM")
        async with raw.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:  # waits for readers, BUSY_TIMEOUT_MS
            row = await cursor.fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # another process writes
            return False
        raise StorageError(f"The conversation log could not be cleaned: {error}.", fix="Free some space.") from error
    return row is not None and row[0] == 0


async def _num_bytes(raw: aiosqlite.Connection) -> int:
    async with raw.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _tune_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """WAL lets readers pass the writer; FULL survives a power cut (https://sqlite.org/wal.html)."""
    connection.isolation_level = None  # the driver opens no transactions of its own; `_begin_sqlite` does
    cursor = connection.cursor()
    pragmas = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON")
    for pragma in (*pragmas, "secure_delete=ON"):  # what is erased leaves no bytes behind
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock before it reads, so that no other process can slip in between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
