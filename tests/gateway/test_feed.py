"""The order of what a socket is sent, where events and the running answer meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event, Message, MessageId, NewEvent, Opened
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.dialogue.line import WaitingLine
from assistant.dialogue.live import LiveTurn
from assistant.dialogue.typing import Typing
from assistant.gateway.feed import Feed
from assistant.gateway.frames import to_json
from assistant.gateway.metrics import Metrics
from tests.databases import opened

pytestmark = pytest.mark.unit
C = ConversationId("c_1")


class Stage:
    """A log, a bus, a running turn, and a feed that shows them."""

    def __init__(self, database: Database, opening: Opened) -> None:
        self.bus = Bus()
        self.log = ConversationLog(database, self.bus)
        self.turn: LiveTurn | None = None
        self.sent: list[dict[str, Any]] = []
        self.on_send: list[Any] = []
        self._opening = opening
        manager: Any = SimpleNamespace(live=lambda _: self.turn, typing=Typing(self.bus), line=WaitingLine(self.bus))
        self.feed = Feed(
            C, log=self.log, bus=self.bus, manager=manager, times=Metrics().times, sent_seq=0, send=self._send
        )

    async def _send(self, frame: dict[str, Any]) -> None:
        self.sent.append(frame)
        if self.on_send:
            await self.on_send.pop(0)()

    async def asks(self, message_id: str) -> None:
        message = Message(message_id, "?", "", "en", client_msg_id=message_id)
        await self.log.append(C, [NewEvent("customer", message)], opening=self._opening)

    async def answers(self, turn: LiveTurn) -> None:
        message = Message(turn.message_id, turn.text, "", "en", reply_to=turn.reply_to)
        await self.log.append(C, [NewEvent("assistant", message)])

    def begins(self, reply_to: str, text: str) -> LiveTurn:
        self.turn = LiveTurn(C, MessageId(reply_to), self.bus, self.log, text=text)
        return self.turn

    def shown(self) -> list[str]:
        return [f"{frame['type']} {frame['data'].get('text', '')}".strip() for frame in self.sent]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    database = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    visitor, _ = await Visitors(database).add("shop")
    stage = Stage(database, Opened("shop", visitor.visitor_id))
    with stage.bus.watch(C):
        yield stage
    await database.close()


async def test_a_turn_that_is_committed_and_not_yet_gone_shows_no_more_text(stage: Stage) -> None:
    await stage.asks("m_1")
    turn = stage.begins("m_1", "an ans")
    await stage.feed.send_news()
    turn.release("wer")
    await stage.answers(turn)
    await stage.feed.send_news()
    assert stage.shown() == ["message ?", "turn.started", "status", "delta an ans", "message an answer"]


async def test_events_committed_while_older_ones_are_sent_come_before_the_turn_they_began(stage: Stage) -> None:
    async def meanwhile() -> None:
        await stage.asks("m_2")
        stage.begins("m_2", "second")

    await stage.asks("m_1")
    stage.on_send.append(meanwhile)
    await stage.feed.send_news()
    assert stage.shown() == ["message ?", "message ?", "turn.started", "status", "delta second"]


async def test_without_a_commit_the_log_is_not_read(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.asks("m_1")
    turn = stage.begins("m_1", "")
    await stage.feed.send_news()
    monkeypatch.setattr(stage.log, "public_events", None)
    turn.release("text")
    await stage.feed.send_news()
    assert stage.shown()[-1] == "delta text"


async def test_a_snapshot_ends_the_turns_it_has(stage: Stage) -> None:
    await stage.asks("m_1")
    await stage.answers(stage.begins("m_1", "an answer"))
    await stage.feed.send_snapshot(await stage.log.head(C))
    await stage.feed.send_news()
    assert stage.shown() == ["snapshot"]
    assert [event["seq"] for event in stage.sent[0]["data"]["events"]] == [1, 2]


async def test_what_waits_for_a_slow_reader_is_bounded_and_all_is_sent_in_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.gateway.feed.MAX_QUEUED_BYTES", 1_000)
    reads = []
    public_events = stage.log.public_events

    async def counted(*args: Any, **more: Any) -> list[Event]:
        reads.append(more["after_seq"])
        return await public_events(*args, **more)

    for number in range(9):
        await stage.asks(f"m_{number}")
    monkeypatch.setattr(stage.log, "public_events", counted)
    stage.bus.hear(C)  # what was kept of the latest commits is void: all comes from the log
    await stage.feed.send_news()
    assert [frame["seq"] for frame in stage.sent] == list(range(1, 10))
    assert len(reads) > 1, "what did not fit was let go, and read again when there was room"
    page = [sum(len(to_json(frame)) for frame in stage.sent[start:end]) for start, end in pairwise([*reads, 9])]
    assert max(page) <= 1_000


async def test_a_snapshot_has_the_latest_events_that_fit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        await stage.asks(f"m_{number}")
    monkeypatch.setattr("assistant.gateway.feed.MAX_QUEUED_BYTES", 600)
    await stage.feed.send_snapshot(await stage.log.head(C))
    [snapshot] = stage.sent
    shown = [event["seq"] for event in snapshot["data"]["events"]]
    assert shown == list(range(10 - len(shown), 10))
    assert 1 <= len(shown) < 9


async def test_what_was_committed_here_is_sent_without_reading_the_log(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    monkeypatch.setattr(stage.log, "public_events", lambda *a, **k: reads.append(a))
    for number in range(3):
        await stage.asks(f"m_{number}")
        await stage.feed.send_news()
    assert [frame["seq"] for frame in stage.sent] == [1, 2, 3]
    assert reads == []


async def test_what_another_process_committed_in_between_is_not_left_out(stage: Stage, tmp_path: Path) -> None:
    other = await opened(f"sqlite+aiosqlite:///{tmp_path / 'log.sqlite3'}")
    await stage.asks("m_0")
    await stage.feed.send_news()
    message = Message("m_1", "?", "", "en", client_msg_id="m_1")
    await ConversationLog(other, Bus()).append(C, [NewEvent("customer", message)])  # and nobody is told
    await stage.asks("m_2")
    await stage.feed.send_news()
    assert [(frame["seq"], frame["data"]["message_id"]) for frame in stage.sent] == [(1, "m_0"), (2, "m_1"), (3, "m_2")]
    await other.close()
