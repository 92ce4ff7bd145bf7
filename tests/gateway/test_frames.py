"""The cursor over a running answer, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event, Message, MessageId, Opened
from assistant.conversation.log import ConversationLog
from assistant.dialogue.live import LiveTurn
from assistant.gateway.frames import STATUS_REFRESH_S, STATUS_TTL_MS, LiveCursor, event_frame
from tests.gateway.rig import Clock

pytestmark = pytest.mark.unit


def turn() -> LiveTurn:
    return LiveTurn(
        ConversationId("c_1"), MessageId("m_1"), bus := Bus(), ConversationLog(Database("sqlite+aiosqlite://"), bus)
    )


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames]


def test_a_turn_starts_once_and_tells_each_phase_once() -> None:
    cursor, running = LiveCursor(clock=Clock()), turn()
    assert kinds(cursor.advance(running)) == ["turn.started", "status"]
    assert cursor.advance(running) == []
    running.enter("searching")
    running.enter("writing")
    [status] = cursor.advance(running)
    assert status["data"] == {"phase": "writing", "ttl_ms": STATUS_TTL_MS}


def test_a_phase_that_lasts_is_told_again_before_it_goes_out() -> None:
    clock = Clock()
    cursor, running = LiveCursor(clock=clock), turn()
    cursor.advance(running)
    clock.now += STATUS_REFRESH_S
    assert kinds(cursor.advance(running)) == ["status"]
    assert cursor.advance(running) == []
    assert STATUS_REFRESH_S * 1000 < STATUS_TTL_MS


def test_deltas_make_up_the_text_whatever_was_released_in_between() -> None:
    cursor, running, text = LiveCursor(clock=Clock()), turn(), ""
    for piece in ("", "👋 ", "hello", ""):
        running.release(piece)
        for frame in cursor.advance(running):
            if frame["type"] == "delta":
                data: Any = frame["data"]
                assert data["index"] == len(text)
                text += data["text"]
    assert text == running.text == "👋 hello"


def test_nothing_of_a_turn_follows_its_final_message() -> None:
    cursor, running = LiveCursor(clock=Clock()), turn()
    running.release("half")
    cursor.advance(running)
    cursor.finish(Message(running.message_id, "half an answer", "", "en"))
    running.release(" an answer")
    assert cursor.advance(running) == []
    assert kinds(cursor.advance(turn())) == ["turn.started", "status"]


def test_a_private_event_makes_no_frame() -> None:
    event = Event(ConversationId("c_1"), 1, None, "", "system", Opened("default", "v_1"))
    with pytest.raises(AssertionError, match="private events"):
        event_frame(event)
