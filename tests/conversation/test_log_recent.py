"""What is kept of a watched conversation is what the log has, whatever others do to it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from assistant.conversation import recent
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.erasure import ErasableLog
from assistant.conversation.events import ConversationId, Feedback, Message, NewEvent, Opened, State
from assistant.conversation.log import ConversationLog
from assistant.conversation.tables import conversations
from assistant.conversation.visitors import Visitors
from tests.databases import opened

pytestmark = pytest.mark.unit
C = ConversationId("c_1")
NUM_STEPS = 120


def said(number: int, *, chars: int = 1) -> NewEvent:
    return NewEvent("customer", Message(f"m_{number}", "x" * chars, "", "en", client_msg_id=f"{number}"))


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[list[Database]]:
    """Of two processes."""
    databases = [await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}") for _ in range(2)]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture
async def opening(databases: list[Database]) -> Opened:
    visitor, _ = await Visitors(databases[0]).add("shop")
    return Opened("shop", visitor.visitor_id)


async def test_what_is_told_is_what_the_log_has_whoever_writes(
    databases: list[Database], opening: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "MAX_EVENTS", 12)
    chance, bus = random.Random(4), Bus()
    here, there = ConversationLog(databases[0], bus), ConversationLog(databases[1], Bus())
    num_told = 0
    with bus.watch(C):
        for number in range(NUM_STEPS):
            what = chance.choice(["say"] * 6 + ["rate", "state", "unheard", "heard", "erase", "restore"])
            is_heard = await do(what, number, here, there, databases[0], bus, opening)
            stored = await here.public_events(C)
            for after in range(len(stored) + 1):
                told = here.told_events(C, after_seq=after)
                num_told += bool(told)
                if told is not None:
                    assert told == stored[after : None if is_heard else len(told) + after]
            if is_heard:
                everything = [e for e in await there.events(C) if isinstance(e.payload, Message)]
                assert await here.recent_messages(C, limit=5) == everything[-5:]
                assert await here.told_head(C) == await there.head(C)
    assert num_told > NUM_STEPS, "much of it was told without reading"


async def do(
    what: str, number: int, here: ConversationLog, there: ConversationLog, database: Database, bus: Bus, opening: Opened
) -> bool:
    """One step; whether this process knows of it."""
    message = said(number)
    if what in ("unheard", "heard"):
        await there.append(C, [message], opening=opening)
        if what == "heard":
            bus.hear(C)
        return what == "heard"
    if what == "erase":
        await ErasableLog(database, bus).blank(C, reason="retention")
    elif what == "restore":
        async with database.writing() as connection:
            await connection.execute(update(conversations).values(epoch=conversations.c.epoch + 1))
    elif what == "rate":
        message = NewEvent("customer", Feedback("m_0", "up"))
    elif what == "state":
        message = NewEvent("system", State("waiting"))
    await here.append(C, [message], opening=opening)
    return True


async def test_the_history_of_a_turn_is_what_came_before_its_message(
    databases: list[Database], opening: Opened
) -> None:
    bus = Bus()
    log = ConversationLog(databases[0], bus)
    with bus.watch(C):
        for number in range(6):
            [*_, event] = await log.append(C, [said(number)], opening=opening)
            await log.append(C, [NewEvent("assistant", Message(f"a_{number}", "", "", "en", reply_to=f"m_{number}"))])
        told = await log.recent_messages(C, limit=3, before=event.position)
    read = await log.recent_messages(C, limit=3, before=event.position)  # nobody watches: from the database
    assert told == read
    assert [m.payload.message_id for m in told] == ["a_3", "m_4", "a_4"]


async def test_long_texts_are_not_kept_beyond_the_bound(databases: list[Database], opening: Opened) -> None:
    bus = Bus()
    log = ConversationLog(databases[0], bus)
    with bus.watch(C):
        for number in range(12):
            await log.append(C, [said(number, chars=8_000)], opening=opening)
        assert [event.seq for event in log.told_events(C, after_seq=4) or []] == list(range(5, 13))
        assert log.told_events(C, after_seq=3) is None, "these must be read"
        assert len(await log.recent_messages(C, limit=20)) == 12


async def test_nothing_is_kept_of_what_nobody_watches(databases: list[Database], opening: Opened) -> None:
    bus = Bus()
    log = ConversationLog(databases[0], bus)
    await log.append(C, [said(0)], opening=opening)
    assert log.told_events(C, after_seq=0) is None
    with bus.watch(C):
        await log.append(C, [said(1)])
        assert [event.seq for event in log.told_events(C, after_seq=1) or []] == [2]
    with bus.watch(C):
        assert log.told_events(C, after_seq=1) is None
