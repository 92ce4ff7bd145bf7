"""The database under the log: one engine, many readers, one writer at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from assistant.conversation import postgresql
from assistant.conversation.sqlite_driver import connect
from assistant.conversation.sqlite_threads import SqliteThreads
from assistant.errors import StorageError

BUSY_TIMEOUT_MS = 10_000
NUM_READERS = 2
MAX_COLLISIONS = 3
MAX_REBUILT_BYTES = 1_073_741_824
Result = TypeVar("Result")


class Database:
    """Connections to SQLite, or to any database SQLAlchemy's async engine speaks to."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._writing = asyncio.Lock()
        self._engine: AsyncEngine | None = None
        self._readers: SqliteThreads | None = None
        self._writer: SqliteThreads | None = None

    async def open(self) -> None:
        """Connect and bring the tables up to date. Raises `StorageError` where the disk refuses."""
        try:
            self._engine = self._make_engine()
            async with self._engine.connect() as connection:
                await connection.run_sync(_upgrade)
                await connection.commit()
            self._readers, self._writer = self._start_threads()
        except (DBAPIError, OSError, ModuleNotFoundError) as error:
            await self.close()
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise StorageError(
                f"The conversation log {self._url.render_as_string()} cannot be opened: {cause}.", fix=self._advice
            ) from error

    async def close(self) -> None:
        """Give the connections back."""
        for threads in (self._writer, self._readers):
            if threads is not None:
                await asyncio.to_thread(threads.close)
        self._writer = self._readers = None
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees what is committed. Raises `StorageError` where the database is away."""
        async with self._connected() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end, or leaves no trace. Raises `StorageError`."""
        async with self._writing, self._connected() as plain:
            connection = await plain.execution_options(writes=True)
            with _told_as_storage_error():
                async with connection.begin():
                    yield connection

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Do some reading that sees what is committed. For SQLite it is one visit to a thread, on any other thread."""
        if self._readers is not None:
            return await self._readers.run(work)
        async with self.reading() as connection:
            return await connection.run_sync(work)

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do some writing in a transaction, like `writing`, with all its statements at once. Raises `StorageError`."""
        if self._writer is not None:
            async with self._writing:
                with _told_as_storage_error():
                    return await self._writer.run(work)
        for _ in range(MAX_COLLISIONS):
            try:
                async with self.writing() as connection:
                    return await connection.run_sync(work)
            except StorageError as error:
                if not isinstance(error.__cause__, DBAPIError) or not postgresql.is_collision(error.__cause__):
                    raise
        async with self.writing() as connection:
            return await connection.run_sync(work)

    async def scrub(self, *, rebuild: bool) -> bool:
        """Make what was deleted or overwritten unreadable in the files too; False where somebody still reads it.

        SQLite overwrites deleted bytes at once (``secure_delete``); this empties the WAL, which holds older pages, and
        with ``rebuild`` writes the database anew, since moved index entries leave copies behind. That blocks writers,
        about a second for 100 MB, and is left out above `MAX_REBUILT_BYTES`. For PostgreSQL see `postgresql.scrub`.
        """
        async with self._writing, self._connected() as connection:
            if not self._is_sqlite:
                return await postgresql.scrub(connection, rebuild=rebuild)
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, aiosqlite.Connection), "the driver of sqlite+aiosqlite"
            return await _scrub_sqlite(raw, rebuild=rebuild)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        assert self._engine is not None, "open() the database first"
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self._engine.connect())
            except (DBAPIError, OSError, PoolTimeout) as error:
                away = f"The conversation log cannot be reached: {type(error).__name__}."
                raise StorageError(away, fix="Check that its database runs; see [log] url.") from error
            yield connection

    @property
    def _advice(self) -> str:
        if self._is_sqlite:
            return "Check that its folder is writable, the disk is not full, and the file is a database of ours."
        return "Check that its server runs and lets us in; for PostgreSQL install service-assistant[postgresql]."

    def _make_engine(self) -> AsyncEngine:
        if not self._is_sqlite:
            return create_async_engine(self._url, **postgresql.ENGINE)
        assert self._url.database, "an SQLite address names its file"
        Path(self._url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._url.database
        engine = create_async_engine(self._url, async_creator=lambda: connect(path))
        event.listen(engine.sync_engine, "connect", _tune_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine

    def _start_threads(self) -> tuple[SqliteThreads | None, SqliteThreads | None]:
        """SQLite's own readers and writer."""
        path = self._url.database
        if not self._is_sqlite or not path:
            return None, None
        readers = SqliteThreads(path, name="log-reader", num_threads=NUM_READERS, begin="BEGIN", tune=_tune_sqlite)
        writer = SqliteThreads(path, name="log-writer", num_threads=1, begin="BEGIN IMMEDIATE", tune=_tune_sqlite)
        return readers, writer


@contextmanager
def _told_as_storage_error() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StorageError(
            f"The conversation log did not take it: {error.orig}.",
            fix="Free some space on the disk of data_dir, then send it again.",
        ) from error


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
    if connection.dialect.name == "postgresql":
        postgresql.lock_migrations(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
