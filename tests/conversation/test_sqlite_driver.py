from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from assistant.conversation import sqlite_driver
from assistant.conversation.database import Database
from assistant.errors import StorageError

pytestmark = pytest.mark.unit
table = Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("said", Text))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    path = str(tmp_path / "t.sqlite3")
    engine = create_async_engine("sqlite+aiosqlite://", async_creator=lambda: sqlite_driver.connect(path))
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
    yield engine
    await engine.dispose()


async def test_what_is_inserted_is_read_back_with_its_count_and_number(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        one = await connection.execute(insert(table).values(said="你好"))
        many = await connection.execute(insert(table), [{"said": "b"}, {"said": None}])
        assert (one.inserted_primary_key, one.rowcount, many.rowcount) == ((1,), 1, 2)
    async with engine.connect() as connection:
        rows = (await connection.execute(select(table).order_by(table.c.id))).all()
    assert [tuple(row) for row in rows] == [(1, "你好"), (2, "b"), (3, None)]


async def test_what_fails_is_raised_as_the_databases_own_error(engine: AsyncEngine) -> None:
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(insert(table), [{"id": 1}, {"id": 1}])
    async with engine.connect() as connection:
        assert (await connection.execute(select(table))).all() == []


async def test_a_writer_that_is_cancelled_at_any_moment_leaves_the_next_one_free(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    await database.open()

    async def write() -> None:
        async with database.writing() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS x (a)"))
            await connection.execute(text("INSERT INTO x VALUES (1)"))

    for steps in range(40):
        task = asyncio.create_task(write())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            await write()
    await database.close()


async def test_a_database_that_another_process_has_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.conversation.database.BUSY_TIMEOUT_MS", 10)
    first, second = (Database(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}") for _ in range(2))
    await first.open()
    await second.open()
    async with first.writing() as connection:
        await connection.execute(text("CREATE TABLE x (a)"))
        with pytest.raises(StorageError, match="locked"):
            async with second.writing() as other:
                await other.execute(text("INSERT INTO visitors VALUES ('v', 't', 's', 'now', NULL)"))
    await first.close()
    await second.close()
