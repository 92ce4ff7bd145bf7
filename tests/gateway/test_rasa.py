"""The dialect of Rasa's REST channel, as a program that knows Rasa speaks it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from assistant.conversation.events import Message, NewEvent, State
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from tests.gateway.rig import PATIENCE_S, Rig, reply

pytestmark = pytest.mark.unit

TEXT = "You have 30 days. Shoes have 60."


@pytest.fixture
async def secret(rig: Rig) -> str:
    return await make_key(rig, "sms")


async def make_key(rig: Rig, name: str, tenant: str = "default") -> str:
    assert rig.parts.doors is not None
    return (await rig.parts.doors.keys.add(name, tenant))[1]


async def say(rig: Rig, secret: str, message: str, sender: str = "ann", **more: object) -> list[dict[str, Any]]:
    headers, body = {"Authorization": f"Bearer {secret}"}, {"sender": sender, "message": message} | more
    async with rig.http.post(rig.url("/webhooks/rest/webhook"), json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_an_answer_comes_in_rasas_shape(rig: Rig, secret: str) -> None:
    async def with_buttons(question: Question, sink: Sink) -> Reply:
        return reply(TEXT, quick_replies=("Shoes", "Talk to a person"))

    rig.responder.answer = with_buttons
    buttons = [{"title": title, "payload": title} for title in ("Shoes", "Talk to a person")]
    answers = await say(rig, secret, "How long?", metadata={"from": "sms"}, input_channel="sms")
    assert answers == [{"recipient_id": "ann", "text": TEXT, "buttons": buttons}]
    async with rig.http.get(rig.url("/webhooks/rest/")) as response:
        assert await response.json() == {"status": "ok"}


async def test_a_senders_conversation_goes_on_over_calls_and_keys_of_one_name(rig: Rig, secret: str) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def remember(question: Question, sink: Sink) -> Reply:
        seen.append((question.text, list(question.earlier)))
        return reply("Yes.")

    rig.responder.answer = remember
    await say(rig, secret, "one")
    await say(rig, await make_key(rig, "sms"), "two")
    await say(rig, secret, "three", sender="bob")
    await say(rig, await make_key(rig, "web"), "four")
    assert seen == [("one", []), ("two", ["one"]), ("three", []), ("four", [])]


async def test_first_messages_at_once_are_one_conversation(rig: Rig, secret: str) -> None:
    seen: list[int] = []

    async def remember(question: Question, sink: Sink) -> Reply:
        seen.append(len(question.earlier))
        return reply(question.text)

    rig.responder.answer = remember
    answers = await asyncio.gather(*(say(rig, secret, f"{number}") for number in range(3)))
    assert sorted(seen) == [0, 1, 2]
    assert sorted(answer["text"] for told in answers for answer in told) == ["0", "1", "2"]  # each is told once


async def test_what_a_person_wrote_meanwhile_comes_with_the_next_call(rig: Rig, secret: str) -> None:
    assert rig.parts.doors is not None
    await say(rig, secret, "hello")
    sender = await rig.parts.doors.senders.find("default", "sms", "ann")
    taken = NewEvent("system", State("human", assignee="Kim"))
    await rig.parts.log.append(sender.conversation_id, [taken])
    assert await say(rig, secret, "are you there?") == []
    written = Message("m_agent", "Kim here.", "<p>Kim here.</p>", "en")
    await rig.parts.log.append(sender.conversation_id, [NewEvent("agent", written)])
    assert await say(rig, secret, "good") == [{"recipient_id": "ann", "text": "Kim here."}]
    assert await say(rig, secret, "thanks") == []


async def test_who_leaves_before_the_answer_is_told_it_with_the_next_call(rig: Rig, secret: str) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def later(question: Question, sink: Sink) -> Reply:
        asked.set()
        await go.wait()
        return reply(f"Answer to {question.text}.")

    rig.responder.answer = later
    leaving = asyncio.create_task(say(rig, secret, "one"))
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await rig.http.get(rig.url("/healthz"))  # what is answered after it has left tells that its leaving was seen
    go.set()
    answers = await say(rig, secret, "two")
    assert [answer["text"] for answer in answers] == ["Answer to one.", "Answer to two."]


async def test_senders_are_stored_as_hashes(rig: Rig, secret: str) -> None:
    await say(rig, secret, "hello", sender="+49 170 555 0100")
    stored = b"".join(path.read_bytes() for path in rig.parts.settings.data_dir.glob("conversations.sqlite3*"))
    assert b"hello" in stored
    assert b"555 0100" not in stored


async def test_what_is_wrong_is_named_in_the_gateways_shape(rig: Rig, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    for body, query, code in (
        ({"message": "hi"}, {}, "bad_frame"),
        ({"sender": "", "message": "hi"}, {}, "bad_frame"),
        ({"sender": "x" * 257, "message": "hi"}, {}, "bad_frame"),
        ({"sender": "ann", "message": "hi", "tenant": "x"}, {}, "bad_frame"),
        ({"sender": "ann", "message": " "}, {}, "text_empty"),
        ({"sender": "ann", "message": "x" * 8_001}, {}, "text_too_long"),
        ({"sender": "ann", "message": "hi"}, {"stream": "true"}, "bad_request"),
    ):
        url = rig.url("/webhooks/rest/webhook")
        async with rig.http.post(url, json=body, params=query, headers=headers) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, code)
    async with rig.http.post(rig.url("/webhooks/rest/webhook"), json={"sender": "ann", "message": "hi"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (401, "unauthorized")
    assert rig.responder.questions == []


async def test_one_sender_is_limited_without_the_others(start: Any) -> None:
    rig = await start(messages_per_minute=1)
    secret = await make_key(rig, "sms")
    await say(rig, secret, "hello")
    headers, body = {"Authorization": f"Bearer {secret}"}, {"sender": "ann", "message": "again"}
    async with rig.http.post(rig.url("/webhooks/rest/webhook"), json=body, headers=headers) as response:
        assert response.status == 429
    await say(rig, secret, "hello", sender="bob")
