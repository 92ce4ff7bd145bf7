from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from assistant.conversation.sqlite_threads import SqliteThreads

pytestmark = pytest.mark.unit


def tune(connection: Any, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "t.sqlite3")


@pytest.fixture
def writer(path: str) -> Iterator[SqliteThreads]:
    writer = SqliteThreads(path, name="test-writer", num_threads=1, begin="BEGIN IMMEDIATE", tune=tune)
    yield writer
    writer.close()


@pytest.fixture
def readers(path: str, writer: SqliteThreads) -> Iterator[SqliteThreads]:
    readers = SqliteThreads(path, name="test-reader", num_threads=2, begin="BEGIN", tune=tune)
    yield readers
    readers.close()


def put(*values: int, then: Exception | None = None) -> Any:
    def work(connection: Connection) -> int:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (a)")
        for value in values:
            connection.exec_driver_sql("INSERT INTO t VALUES (?)", (value,))
        if then is not None:
            raise then
        return len(values)

    return work


def stored(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT a FROM t ORDER BY a").scalars())


async def test_work_is_one_transaction(writer: SqliteThreads, readers: SqliteThreads) -> None:
    assert await writer.run(put(1, 2)) == 2
    with pytest.raises(ValueError, match="no"):
        await writer.run(put(3, then=ValueError("no")))
    assert await readers.run(stored) == [1, 2]
    await writer.run(put(4))
    assert await readers.run(stored) == [1, 2, 4]


async def test_the_databases_errors_are_raised_as_its_own(writer: SqliteThreads) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        await writer.run(stored)


async def test_readers_work_side_by_side(writer: SqliteThreads, readers: SqliteThreads) -> None:
    await writer.run(put(1))
    both = threading.Barrier(2, timeout=10)

    def meet(connection: Connection) -> list[int]:
        both.wait()
        return stored(connection)

    assert await asyncio.gather(readers.run(meet), readers.run(meet)) == [[1], [1]]


async def test_who_is_cancelled_waits_for_the_end_of_the_work(writer: SqliteThreads, readers: SqliteThreads) -> None:
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(10)
        put(1)(connection)

    task = asyncio.create_task(writer.run(work))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert await readers.run(stored) == [1]


async def test_nothing_is_left_after_the_end(path: str) -> None:
    threads = SqliteThreads(path, name="test-ended", num_threads=2, begin="BEGIN", tune=tune)
    await threads.run(put(1))
    threads.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-ended")]
    assert not os.path.exists(path + "-wal"), "the last connection takes the WAL with it"  # noqa: ASYNC240
