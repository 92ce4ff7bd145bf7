"""What never leaves: private fields on the wire, customers' words and secrets in the logs."""

from __future__ import annotations

import json
import logging

import pytest

from assistant.conversation.events import (
    ConversationId,
    Feedback,
    Message,
    NewEvent,
    Opened,
    PromptPassage,
    VisitorId,
)
from tests.gateway.rig import Rig, VisitorClient

pytestmark = pytest.mark.unit

CANARY = "canary-7f3a"


async def test_private_fields_and_events_are_never_sent(rig: Rig, visitor: VisitorClient) -> None:
    answer = Message(
        "m_2",
        "30 days",
        "<p>30 days</p>",
        "en",
        reason=CANARY,
        confidence=0.123456789,
        model=CANARY,
        adapter=CANARY,
        prompt_id=CANARY,
        passages=(PromptPassage(CANARY, CANARY, CANARY),),
        timings_ms={CANARY: 0.123456789},
    )
    opening = Opened("default", VisitorId(visitor.visitor_id), page=CANARY)
    events = [NewEvent("assistant", answer), NewEvent("customer", Feedback("m_2", "up", CANARY))]
    await rig.parts.log.append(ConversationId("c_1"), events, opening=opening)

    replayed = await visitor.connect(conversation_id="c_1", epoch=1, last_seq=0)
    await replayed.until("resumed")
    snapshot = await visitor.connect(conversation_id="c_1", epoch=9, last_seq=0)
    await snapshot.until("snapshot")
    rest = await (await visitor.get_events("c_1")).text()
    metrics = await (await rig.http.get(rig.url("/metrics"))).text()
    sent = json.dumps([replayed.frames, snapshot.frames]) + rest + metrics
    assert "30 days" in sent
    assert CANARY not in sent
    assert "0.123456789" not in sent


async def test_private_fields_of_a_live_turn_are_never_sent(rig: Rig, visitor: VisitorClient) -> None:
    socket = await visitor.join()
    await socket.say("what do you use?")
    await socket.until_answered()
    assert "secret-" not in json.dumps(socket.frames)
    private = (await rig.parts.log.events(ConversationId(socket.conversation_id)))[-1].payload
    assert isinstance(private, Message)
    assert private.model == "secret-model"  # it is recorded, so the search above could have found it


async def test_no_log_line_has_a_customers_words_or_a_secret(
    rig: Rig, visitor: VisitorClient, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = await visitor.token()
    socket = await visitor.upgrade()
    await socket.send("hello", token=token)
    await socket.until("resumed")
    await socket.say(f"my card is {CANARY}")
    message_id = (await socket.until_answered())["data"]["message_id"]
    await socket.send("feedback", message_id=message_id, rating="down", comment=CANARY)
    await socket.send("handoff", reason=CANARY)
    await socket.websocket.send_str(CANARY)
    await socket.send("message", client_msg_id="b", text=CANARY, **{CANARY: CANARY})
    await socket.until("error", code="bad_frame")

    async def broken(*args: object) -> None:
        raise RuntimeError(CANARY)

    rig.parts.manager.receive = broken  # type: ignore[method-assign, assignment]
    await socket.say(CANARY, "c")
    await socket.until("error", code="internal")
    await socket.close()
    await rig.http.get(rig.url(f"/v1/conversations/{CANARY}/events?token={CANARY}"))
    await rig.http.get(rig.url(f"/{CANARY}"))
    await (await visitor.get_events("c_1")).read()

    logged = "".join(capfd.readouterr()) + caplog.text
    assert "http_request" in logged
    assert "command_broken" in logged
    for secret in (CANARY, token, visitor.secret):
        assert secret not in logged
