"""The conversation log on a real SQLite file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import (
    KIND_OF,
    Action,
    Citation,
    ConversationId,
    Feedback,
    Insight,
    Message,
    NewEvent,
    Opened,
    PromptPassage,
    State,
    from_record,
    public_record,
    to_record,
)
from assistant.conversation.log import ConversationLog
from assistant.conversation.tables import metadata
from assistant.conversation.visitors import Visitors
from assistant.errors import IdempotencyConflict, StorageError, UnknownConversation
from assistant.values import Entity
from tests.databases import opened

pytestmark = pytest.mark.unit
C = ConversationId("c_1")


def said(text: str, *, client_msg_id: str | None = None, message_id: str = "m_1", **more: object) -> Message:
    return Message(message_id, text, f"<p>{text}</p>", "en", client_msg_id=client_msg_id, **more)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    yield database
    await database.close()


@pytest.fixture
async def log(database: Database) -> ConversationLog:
    return ConversationLog(database, Bus())


@pytest.fixture
async def opening(database: Database) -> Opened:
    visitor, _ = await Visitors(database).add("shop")
    return Opened("shop", visitor.visitor_id, "en-GB")


async def test_positions_count_everything_and_seq_only_what_is_public(log: ConversationLog, opening: Opened) -> None:
    await log.append(C, [NewEvent("customer", said("hi", client_msg_id="a"))], opening=opening)
    await log.append(C, [NewEvent("customer", Feedback("m_1", "up"))])
    await log.append(C, [NewEvent("system", State("waiting", reason="asked"))])

    everything = await log.events(C)
    assert [(e.kind, e.position, e.seq) for e in everything] == [
        ("opened", 1, None),
        ("message", 2, 1),
        ("feedback", 3, None),
        ("state", 4, 2),
    ]
    assert [e.seq for e in await log.public_events(C)] == [1, 2]
    assert (await log.head(C)).mode == "waiting"


async def test_the_same_client_message_is_stored_once(log: ConversationLog, opening: Opened) -> None:
    item = NewEvent("customer", said("hi", client_msg_id="a"))
    _, first = await log.append(C, [item], opening=opening)
    [again] = await log.append(C, [item], opening=opening)
    assert again == first
    with pytest.raises(IdempotencyConflict, match="'a' was used for another text"):
        await log.append(C, [NewEvent("customer", said("bye", client_msg_id="a"))])
    assert (await log.head(C)).last_position == 2


async def test_a_message_gets_one_answer_only(log: ConversationLog, opening: Opened) -> None:
    await log.append(C, [NewEvent("customer", said("hi", client_msg_id="a"))], opening=opening)
    assert [e.payload.text for e in await log.unanswered()] == ["hi"]
    [first] = await log.append(C, [NewEvent("assistant", said("hello", message_id="m_2", reply_to="m_1"))])
    [second] = await log.append(C, [NewEvent("assistant", said("again", message_id="m_3", reply_to="m_1"))])
    assert second == first
    assert await log.unanswered() == []


async def test_parallel_appends_leave_no_gap(log: ConversationLog, opening: Opened) -> None:
    await log.append(C, [], opening=opening)
    messages = [said(str(n), client_msg_id=str(n), message_id=f"m_{n}") for n in range(30)]
    await asyncio.gather(*(log.append(C, [NewEvent("customer", message)]) for message in messages))
    assert [e.seq for e in await log.public_events(C)] == list(range(1, 31))


async def test_two_processes_keep_the_numbers_unbroken(tmp_path: Path, opening: Opened, log: ConversationLog) -> None:
    other_database = Database(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    await other_database.open()
    other = ConversationLog(other_database, Bus())
    await log.append(C, [], opening=opening)
    items = [NewEvent("customer", said(str(n), client_msg_id=str(n), message_id=f"m_{n}")) for n in range(20)]
    await asyncio.gather(*((log, other)[n % 2].append(C, [item]) for n, item in enumerate(items)))
    assert [e.position for e in await log.events(C)] == list(range(1, 22))
    await other_database.close()


async def test_what_was_appended_survives_a_restart(tmp_path: Path, log: ConversationLog, opening: Opened) -> None:
    citation = Citation("return-item", "Return?", "en/returns.md", "en", "Log in", 10, 16, 0, 6)
    answer = said(
        "Log in",
        reply_to="m_0",
        decision="composed",
        citations=(citation,),
        confidence=0.9,
        passages=(PromptPassage("return-item", "Return?", "Log in"),),
    )
    await log.append(C, [NewEvent("assistant", answer)], opening=opening)

    again = Database(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    await again.open()
    [event] = await ConversationLog(again, Bus()).public_events(C)
    assert event.payload == answer
    await again.close()


def test_a_record_is_what_the_dataclass_holds_and_gives_it_back() -> None:
    citation = Citation("return-item", "Return?", "en/returns.md", "en", "Log in", 10, 16, 0, 6)
    passage = PromptPassage("return-item", "Return?", "Log in")
    entity = Entity("order_number", "A-1", 0, 3)
    payloads = [
        said("hi", citations=(citation,), passages=(passage,), quick_replies=("yes",), timings_ms={"search": 1.0}),
        Insight("m_1", "neutral", "low", entities=(entity,)),
        Action("track", "succeeded", {"order": "A-1"}, "key", result={"state": "sent"}),
        State("human", assignee="Mia", assignee_id="a_1"),
    ]
    for payload in payloads:
        assert to_record(payload) == asdict(payload)
        assert from_record(KIND_OF[type(payload)], json.loads(json.dumps(to_record(payload)))) == payload


async def test_a_visitor_sees_no_private_field() -> None:
    answer = said("hi", decision="composed", reason="close match", confidence=0.4, model="m", prompt_id="p")
    assert public_record(answer).keys() == {"message_id", "text", "html", "language", "decision"}


async def test_every_append_wakes_who_watches(database: Database, opening: Opened) -> None:
    bus = Bus()
    log = ConversationLog(database, bus)
    with bus.watch(C) as news, bus.watch(ConversationId("c_2")) as others:
        await log.append(C, [], opening=opening)
        assert news.is_set()
        assert not others.is_set()


async def test_an_unknown_conversation_is_named(log: ConversationLog) -> None:
    with pytest.raises(UnknownConversation, match="no conversation c_1"):
        await log.head(C)
    with pytest.raises(UnknownConversation):
        await log.append(C, [NewEvent("customer", said("hi"))])


async def test_only_the_right_secret_finds_a_visitor(database: Database) -> None:
    visitors = Visitors(database)
    visitor, secret = await visitors.add("shop")
    assert await visitors.by_secret(secret) == visitor
    assert await visitors.by_secret(secret + "x") is None


async def test_the_migrations_make_the_tables_the_code_expects(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_damaged_file_is_refused_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match=r"cannot be opened.*not a database"):
        await Database(f"sqlite+aiosqlite:///{tmp_path / 'bad.sqlite3'}").open()
