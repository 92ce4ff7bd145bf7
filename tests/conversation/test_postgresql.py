"""The log on a real PostgreSQL: what other files test on SQLite, and what only several writers at once can break."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from assistant.config import Settings
from assistant.conversation import postgresql
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event, Message, NewEvent, Opened, VisitorId
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.erasing import privacy_of
from assistant.errors import StorageError
from tests.conftest import REPOSITORY
from tests.postgresql import ADDRESS, Databases, running_server

pytestmark = pytest.mark.reliability

NUM_PROCESSES = 3
CANARY = "canary-mia-7f3a"
CORE = [
    "tests/conversation/test_log.py",
    "tests/privacy/test_erasure.py",
    "tests/gateway/test_agent_handover.py",
    "tests/gateway/test_rest_conversations.py",
]
WHOLE = ["tests/conversation", "tests/privacy", "tests/gateway"]
OF_SQLITE = [  # these open its files, or break its disk
    "tests/conversation/test_log_together.py::test_a_disk_that_refuses_is_told_to_all_and_the_next_append_is_taken",
    "tests/privacy/test_erasure.py::test_nothing_of_a_visitor_is_left_in_any_file_and_nothing_of_others_is_touched",
    "tests/privacy/test_erasure.py::test_what_is_written_after_it_was_erased_is_found_by_the_next_look",
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_server() as address:
        yield address


@pytest.fixture(scope="module")
def databases(address: str) -> Databases:
    return Databases(address)


@pytest.fixture
async def processes(databases: Databases) -> AsyncIterator[list[Database]]:
    """What several processes have of one database."""
    url = databases.new()
    opened = [Database(url) for _ in range(NUM_PROCESSES)]
    for database in opened:
        await database.open()
    yield opened
    for database in opened:
        await database.close()


@pytest.fixture
async def visitor_id(processes: list[Database]) -> VisitorId:
    visitor, _ = await Visitors(processes[0]).add("default")
    return visitor.visitor_id


def said(name: str) -> list[NewEvent]:
    return [NewEvent("customer", Message(f"m_{name}", f"{CANARY} {name}", "", "en", client_msg_id=name))]


@pytest.mark.timeout(1_200)
def test_what_holds_on_sqlite_holds_on_postgresql(address: str, pytestconfig: pytest.Config) -> None:
    files = WHOLE if pytestconfig.getoption("--long") else CORE
    left_out = [word for test in OF_SQLITE for word in ("--deselect", test)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.postgresql", "--no-browser", *files, *left_out]
    ignored = ["--ignore", __file__, "-k", "not sqlite and not redis"]
    ended = subprocess.run(
        [*command, *ignored],
        cwd=REPOSITORY,
        env=os.environ | {ADDRESS: address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8_000:] + ended.stderr[-2_000:]
    assert " passed" in ended.stdout


async def test_processes_that_start_at_once_make_the_tables_once(databases: Databases) -> None:
    url = databases.empty()
    opened = [Database(url) for _ in range(NUM_PROCESSES)]
    await asyncio.gather(*(database.open() for database in opened))
    async with opened[0].reading() as connection:
        versions = (await connection.execute(text("SELECT version_num FROM alembic_version"))).all()
    assert len(versions) == 1
    for database in opened:
        await database.close()


async def test_processes_that_begin_one_conversation_at_once_number_it_without_a_gap(
    processes: list[Database], visitor_id: VisitorId
) -> None:
    logs = [ConversationLog(database, Bus()) for database in processes]
    opening, places = Opened("default", visitor_id), [ConversationId(f"c_{number}") for number in range(6)]

    async def say(number: int, log: ConversationLog) -> list[list[Event]]:
        # Each process goes through the places in an order of its own, so that locks are wanted crosswise.
        order = places[number:] + places[:number]
        names = [f"all-{place}" if again else f"{number}-{place}" for place in order for again in (False, True)]
        where = [place for place in order for _ in range(2)]
        asked = zip(where, names, strict=True)
        return await asyncio.gather(*(log.append(place, said(name), opening=opening) for place, name in asked))

    acked = await asyncio.gather(*(say(number, log) for number, log in enumerate(logs)))
    for place in places:
        stored = await logs[0].events(place)
        assert [event.position for event in stored] == list(range(1, len(stored) + 1))
        own = [event.payload.client_msg_id for event in stored if isinstance(event.payload, Message)]
        assert sorted(own) == sorted([f"all-{place}", *(f"{number}-{place}" for number in range(NUM_PROCESSES))])
    assert all(len(answers) == 2 * len(places) for answers in acked)


async def test_nothing_that_comes_while_a_visitor_is_erased_is_left(
    processes: list[Database], visitor_id: VisitorId, settings: Settings
) -> None:
    place, opening = ConversationId("c_1"), Opened("default", visitor_id)
    log = ConversationLog(processes[1], Bus())
    await log.append(place, said("first"), opening=opening)
    eraser = privacy_of(settings, processes[0], Bus()).eraser()

    async def talk() -> None:
        for number in range(20):
            await log.append(place, said(f"{number}"), opening=opening)

    await asyncio.gather(eraser.erase(visitor_id), talk())
    await eraser.resume()  # as the job does, a minute later
    kinds = {event.kind for event in await log.events(place)}
    assert kinds == {"erased"}


async def test_what_was_erased_is_in_no_file_of_a_table(
    processes: list[Database], visitor_id: VisitorId, settings: Settings
) -> None:
    log = ConversationLog(processes[0], Bus())
    await log.append(ConversationId("c_1"), said("first"), opening=Opened("default", visitor_id))
    assert await _has_canary(processes[0])
    erasure = await privacy_of(settings, processes[0], Bus()).eraser().erase(visitor_id)
    assert erasure.is_whole
    assert not await _has_canary(processes[0])


async def _has_canary(database: Database) -> bool:
    """Whether the files of this database's tables have it; the WAL ages by its own rules."""
    async with database.reading() as connection:
        await connection.execute(text("CHECKPOINT"))
        folder = Path((await connection.execute(text("SHOW data_directory"))).scalar_one())
        own = text("SELECT oid FROM pg_database WHERE datname = current_database()")
        files = folder / "base" / str((await connection.execute(own)).scalar_one())
    return any(CANARY.encode() in path.read_bytes() for path in files.iterdir())


async def test_a_table_that_somebody_reads_leaves_the_erasure_open_and_nobody_waits_for_long(
    processes: list[Database], visitor_id: VisitorId, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "SCRUB_LOCK_MS", 50)
    log = ConversationLog(processes[0], Bus())
    await log.append(ConversationId("c_1"), said("first"), opening=Opened("default", visitor_id))
    eraser = privacy_of(settings, processes[0], Bus()).eraser()
    async with processes[1].reading() as reader:
        await reader.execute(text("SELECT count(*) FROM events"))
        assert not (await eraser.erase(visitor_id)).is_whole
    assert await eraser.resume() == [visitor_id]
    assert (await eraser.erase(visitor_id)).is_whole


async def test_a_server_that_cut_every_connection_is_written_to_again(
    processes: list[Database], visitor_id: VisitorId
) -> None:
    log, opening = ConversationLog(processes[0], Bus()), Opened("default", visitor_id)
    await log.append(ConversationId("c_1"), said("before"), opening=opening)
    async with processes[1].reading() as connection:
        others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM {others}"))
    await log.append(ConversationId("c_1"), said("after"), opening=opening)
    assert (await log.head(ConversationId("c_1"))).last_seq == 2


async def test_a_server_that_is_away_is_told_without_its_password() -> None:
    database = Database("postgresql+asyncpg://assistant:secret-pass@127.0.0.1:1/log")
    with pytest.raises(StorageError, match="Check that its server runs") as refused:
        await database.open()
    assert "secret-pass" not in str(refused.value)
