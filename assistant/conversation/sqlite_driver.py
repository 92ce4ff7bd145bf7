"""SQLite for the event loop, with one visit to the connection's thread per statement.

aiosqlite goes to its thread four times for each: a cursor, the statement, its rows, the end of the cursor. With a
thread that has to wait for the interpreter every time, that was most of what a customer's message took.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import aiosqlite

Parameters = Sequence[Any]
Execute = Callable[[sqlite3.Cursor], object]
Description = tuple[tuple[str, None, None, None, None, None, None], ...]


class OneVisitConnection(aiosqlite.Connection):
    """A connection whose cursors run a statement and fetch its rows at once.

    ``BEGIN`` goes with the statement after it.
    """

    _held_begin: str | None = None
    _is_used = False  # since the last commit or rollback; `in_transaction` knows nothing of what is still under way

    def cursor(self) -> OneVisitCursor:  # type: ignore[override] # SQLAlchemy enters it, as it does aiosqlite's
        """A cursor; nothing is done before it executes something."""
        return OneVisitCursor(self)

    async def commit(self) -> None:
        """Commit what was begun."""
        if not self._forget_begin():
            await super().commit()
            self._is_used = False

    async def rollback(self) -> None:
        """Take back what was begun; nothing to do where nothing was."""
        if not self._forget_begin() and self._is_used:
            await super().rollback()
            self._is_used = False

    async def visit(self, sql: str, execute: Execute) -> Outcome:
        """Run a statement on the connection's thread, and fetch what it gives."""
        if sql.startswith("BEGIN"):
            self._held_begin = sql
            return Outcome()
        begin, self._held_begin, self._is_used = self._held_begin, None, True
        outcome: Outcome = await self._execute(self._run, begin, execute)  # type: ignore[no-untyped-call]
        return outcome

    def _run(self, begin: str | None, execute: Execute) -> Outcome:
        cursor = self._conn.cursor()
        try:
            if begin is not None:
                cursor.execute(begin)
            execute(cursor)
            return Outcome(cursor)
        finally:
            cursor.close()

    def _forget_begin(self) -> bool:
        was_held, self._held_begin = self._held_begin is not None, None
        return was_held


class Outcome:
    """What a statement gave."""

    def __init__(self, cursor: sqlite3.Cursor | None = None) -> None:
        self.description: Description | None = cursor.description if cursor else None
        self.rowcount = cursor.rowcount if cursor else -1
        self.lastrowid = cursor.lastrowid if cursor else None
        self.rows: deque[Any] = deque(cursor.fetchall() if cursor and self.description else ())


class OneVisitCursor:
    """The part of aiosqlite's cursor that SQLAlchemy uses."""

    arraysize = 1

    def __init__(self, connection: OneVisitConnection) -> None:
        self._connection = connection
        self._outcome = Outcome()

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Description | None:
        """The columns, as PEP 249 has them; None where a statement gives no rows."""
        return self._outcome.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._outcome.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The number of the row inserted last."""
        return self._outcome.lastrowid

    async def execute(self, sql: str, parameters: Parameters = ()) -> Self:
        """Run a statement."""
        self._outcome = await self._connection.visit(sql, lambda cursor: cursor.execute(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Parameters]) -> Self:
        """Run a statement once for each of these."""
        self._outcome = await self._connection.visit(sql, lambda cursor: cursor.executemany(sql, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        """The rows, which are here already."""
        rows, self._outcome.rows = list(self._outcome.rows), deque()
        return rows

    async def close(self) -> None:
        """Nothing is open any more."""


def connect(path: str) -> OneVisitConnection:
    """A connection to be awaited. Its thread ends with the process where it is not closed."""
    connection = OneVisitConnection(lambda: sqlite3.connect(path), iter_chunk_size=64)
    connection._thread.daemon = True
    return connection
