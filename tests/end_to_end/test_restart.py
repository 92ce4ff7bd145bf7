"""What survives: a dropped socket, a restart, a kill."""

from __future__ import annotations

import signal
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.conftest import Server, start
from tests.end_to_end.visitor import Visitor

pytestmark = pytest.mark.real


async def test_restarting_loses_nothing(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    first = start(tmp_path)
    anna = Visitor(first.url, session)
    await anna.connect()
    await anna.ask("How do I return an item?")
    await anna.say("which payment methods do you accept?")
    await anna.next("ack")
    _, before = await anna.history()
    first.stop(signal.SIGKILL)

    second = start(tmp_path)
    anna.url, seen = second.url, anna.last_seq
    anna.last_seq = 0
    anna.frames.clear()
    await anna.connect()
    answers = [await anna.answer(), await anna.answer()]
    replayed = [f for f in anna.frames if f.get("seq") and f["seq"] <= seen]
    assert replayed == before["events"][: len(replayed)]
    assert len(replayed) >= 3
    assert {f["data"]["reply_to"] for f in answers} == {
        f["data"]["message_id"] for f in anna.frames if f["type"] == "message" and f["data"]["author"] == "customer"
    }, "the message that the crash left unanswered is answered, once"
    assert [f["seq"] for f in anna.frames if f.get("seq")] == [1, 2, 3, 4]
    assert second.stop() == 0


async def test_an_answer_goes_on_while_its_customer_is_away(server: Server, session: aiohttp.ClientSession) -> None:
    li = Visitor(server.url, session, locale="zh-CN")
    await li.connect()
    await li.say("如何退货？")
    await li.next("ack")
    await li.drop()
    await li.connect()
    assert "登录" in (await li.answer())["data"]["text"]
    stranger = Visitor(server.url, session)
    await stranger.connect()
    status, _ = await li.history(secret=stranger.identity["visitor_secret"])
    assert status == 404
