"""Appends that come at once: committed together, refused alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event, Message, NewEvent, Opened
from assistant.conversation.log import ConversationLog, Head
from assistant.conversation.tables import conversations
from assistant.conversation.visitors import Visitors
from assistant.errors import IdempotencyConflict, StorageError, TakenByAnother, UnknownConversation
from tests.databases import opened

pytestmark = pytest.mark.unit
Result = TypeVar("Result")


def place(number: int) -> ConversationId:
    return ConversationId(f"c_{number}")


def said(text: str, client_msg_id: str = "a") -> NewEvent:
    return NewEvent("customer", Message(f"m_{text}_{client_msg_id}", text, "", "en", client_msg_id=client_msg_id))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    yield database
    await database.close()


@pytest.fixture
def writes(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry for each transaction of the log's."""
    return counted(database, monkeypatch)


def counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    write, writes = database.write, list[object]()

    async def counting(work: Callable[[Connection], Result]) -> Result:
        writes.append(work)
        return await write(work)

    monkeypatch.setattr(database, "write", counting)
    return writes


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def log(database: Database, bus: Bus) -> ConversationLog:
    return ConversationLog(database, bus)


@pytest.fixture
async def opening(database: Database) -> Opened:
    visitor, _ = await Visitors(database).add("shop")
    return Opened("shop", visitor.visitor_id)


async def texts(log: ConversationLog, number: int) -> list[str]:
    return [
        event.payload.text for event in await log.public_events(place(number)) if isinstance(event.payload, Message)
    ]


async def test_what_comes_while_the_disk_writes_shares_the_next_transaction(
    log: ConversationLog, writes: list[object], opening: Opened
) -> None:
    appends = [log.append(place(n % 5), [said(str(n), str(n))], opening=opening) for n in range(50)]
    stored = await asyncio.gather(*appends)
    assert len(writes) <= 2
    assert [events[-1].payload.text for events in stored] == [str(n) for n in range(50)]
    for number in range(5):
        assert await texts(log, number) == [str(n) for n in range(number, 50, 5)], "in the order they came"
        assert [e.position for e in await log.events(place(number))] == list(range(1, 12))


async def test_who_comes_alone_waits_for_nobody(log: ConversationLog, writes: list[object], opening: Opened) -> None:
    for number in range(3):
        await log.append(place(number), [said("hi")], opening=opening)
    assert len(writes) == 3


async def test_a_refusal_concerns_its_own_caller_only(log: ConversationLog, opening: Opened) -> None:
    def refuse(head: Head) -> Sequence[NewEvent]:
        raise TakenByAnother("taken", holder=head.conversation_id)

    await log.append(place(1), [said("hi")], opening=opening)
    outcomes = await asyncio.gather(
        log.append(place(0), [said("one")], opening=opening),
        log.append(place(1), [said("another text")]),
        log.append(place(2), [said("two")], opening=opening, first=refuse),
        log.append(place(3), [said("three")]),
        log.append(place(1), [said("four", "b")]),
        return_exceptions=True,
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [list, IdempotencyConflict, TakenByAnother, UnknownConversation, list]
    assert [await texts(log, number) for number in range(4)] == [["one"], ["hi", "four"], [], []]
    with pytest.raises(UnknownConversation):
        await log.head(place(2))


async def test_a_decision_that_breaks_harms_no_other(log: ConversationLog, opening: Opened) -> None:
    def break_down(head: Head) -> Sequence[NewEvent]:
        raise ZeroDivisionError

    outcomes = await asyncio.gather(
        log.append(place(0), [said("one")], opening=opening),
        log.append(place(1), [said("two")], opening=opening, first=break_down),
        log.append(place(2), [said("three")], opening=opening),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [list, ZeroDivisionError, list]
    assert [await texts(log, number) for number in range(3)] == [["one"], [], ["three"]]


async def test_a_message_that_comes_twice_at_once_is_stored_once(log: ConversationLog, opening: Opened) -> None:
    appends = [log.append(place(0), [said("hi")], opening=opening) for _ in range(3)]
    first, second, third = await asyncio.gather(*appends)
    assert first[-1] == second[-1] == third[-1]
    assert await texts(log, 0) == ["hi"]


async def test_a_row_that_the_database_refuses_harms_no_other(log: ConversationLog, opening: Opened) -> None:
    outcomes = await asyncio.gather(
        log.append(place(0), [said("one")], opening=opening),
        log.append(place(1), [said("two")], opening=Opened("shop", "v_nobody")),
        log.append(place(2), [said("three")], opening=opening),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [list, StorageError, list]
    assert [await texts(log, number) for number in range(3)] == [["one"], [], ["three"]]


async def test_a_disk_that_refuses_is_told_to_all_and_the_next_append_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.conversation.database.BUSY_TIMEOUT_MS", 10)
    first, second = [await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}") for _ in range(2)]
    writes = counted(second, monkeypatch)
    visitor, _ = await Visitors(first).add("shop")
    log, opening = ConversationLog(second, Bus()), Opened("shop", visitor.visitor_id)
    async with first.writing() as other:
        await other.execute(select(conversations))  # the lock is taken with the first statement
        appends = [log.append(place(n), [said("hi")], opening=opening) for n in range(3)]
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 3
    assert len(writes) == 1, "a lock is waited for once, not for each of them"
    assert len(await log.append(place(0), [said("hi")], opening=opening)) == 2
    await first.close()
    await second.close()


async def test_who_leaves_before_their_turn_leaves_no_trace_and_who_leaves_later_is_stored(
    log: ConversationLog, opening: Opened
) -> None:
    begun = asyncio.create_task(log.append(place(0), [said("begun")], opening=opening))
    waiting = asyncio.create_task(log.append(place(1), [said("waiting")], opening=opening))
    await asyncio.sleep(0)  # both wait now
    waiting.cancel()
    await asyncio.sleep(0)  # the group of the other is under way
    begun.cancel()
    await asyncio.gather(begun, waiting, return_exceptions=True)
    await log.append(place(2), [said("after")], opening=opening)
    assert [await texts(log, number) for number in range(3)] == [["begun"], [], ["after"]]


async def test_watchers_are_woken_after_the_commit(
    log: ConversationLog, bus: Bus, opening: Opened, tmp_path: Path
) -> None:
    other = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    elsewhere = ConversationLog(other, Bus())

    async def watch(number: int) -> list[Event]:
        with bus.watch(place(number)) as news:
            await news.wait()
            return await elsewhere.public_events(place(number))

    watching = [asyncio.create_task(watch(number)) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.gather(*(log.append(place(n), [said(f"hi {n}")], opening=opening) for n in range(3)))
    seen = await asyncio.gather(*watching)
    assert [[event.payload.text for event in events] for events in seen] == [["hi 0"], ["hi 1"], ["hi 2"]]
    await other.close()


async def test_more_than_may_wait_are_refused_at_once(
    log: ConversationLog, opening: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.conversation.group_commit.MAX_WAITING", 3)
    appends = [log.append(place(n), [said("hi")], opening=opening) for n in range(5)]
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [list, list, list, StorageError, StorageError]
    assert "3 appends wait" in str(outcomes[-1])
