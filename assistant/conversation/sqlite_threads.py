"""SQLite in threads of its own: a piece of work with all its statements is one visit to a thread.

Through `sqlite_driver.py` each statement is a visit, and a visit costs as much as several statements. PostgreSQL needs
none of this: there the same work runs statement by statement over the network (`Database`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

Result = TypeVar("Result")
Tune = Callable[[Any, Any], None]


class SqliteThreads:
    """So many threads with a connection each, which stays open until `close`. Each piece of work is a transaction."""

    def __init__(self, path: str, *, name: str, num_threads: int, begin: str, tune: Tune) -> None:
        self._engine = create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(path, check_same_thread=False), poolclass=NullPool
        )
        event.listen(self._engine, "connect", tune)
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix=name)
        self._own = _Own()
        self._open: list[Connection] = []

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do the work in a thread, and commit it unless it raises. Who is cancelled meanwhile waits for its end."""
        visit = asyncio.get_running_loop().run_in_executor(self._threads, self._do, work)
        try:
            return await asyncio.shield(visit)
        except asyncio.CancelledError:
            await asyncio.wait([visit])
            raise

    def close(self) -> None:
        """End the threads and close their connections, after the work that was begun."""
        self._threads.shutdown()
        for connection in self._open:
            connection.close()
        self._engine.dispose()

    def _do(self, work: Callable[[Connection], Result]) -> Result:
        connection = self._connection()
        with connection.begin():
            return work(connection)

    def _connection(self) -> Connection:
        if self._own.connection is None:
            self._own.connection = self._engine.connect()
            self._open.append(self._own.connection)
        return self._own.connection


class _Own(threading.local):
    connection: Connection | None = None
