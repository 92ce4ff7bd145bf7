"""Conversations over HTTP alone: begun, continued, rated, handed over and listed by their own visitor only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from assistant.conversation.events import ConversationId
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from tests.gateway.rig import PATIENCE_S, Rig, VisitorClient, public_events, reply

pytestmark = pytest.mark.unit

TEXT = "You have 30 days. Shoes have 60."


async def call(
    visitor: VisitorClient, method: str, path: str, body: object = None, **query: object
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {visitor.secret}"}
    url, params = visitor.rig.url(f"/v1/conversations{path}"), {name: str(value) for name, value in query.items()}
    async with visitor.rig.http.request(method, url, json=body, params=params, headers=headers) as response:
        return response.status, await response.json() if response.status != 204 else {}


async def begin(visitor: VisitorClient, text: str = "How long?", client_msg_id: str = "a", wait: int = 0) -> str:
    status, body = await call(visitor, "POST", "", {"client_msg_id": client_msg_id, "text": text}, wait=wait)
    assert status == (200 if wait else 202), body
    return str(body["conversation_id"])


async def test_a_message_is_committed_when_202_comes_and_answered_afterwards(visitor: VisitorClient) -> None:
    rig = visitor.rig
    rig.responder.holds = True
    status, body = await call(visitor, "POST", "", {"client_msg_id": "a", "text": "How long?"})
    assert (status, body["ack"]) == (202, {"client_msg_id": "a", "seq": 1})
    [event] = await public_events(rig, body["conversation_id"])
    assert event.payload.text == "How long?"  # type: ignore[union-attr]
    for _ in range(2):
        rig.responder.go.put_nowait(None)


async def test_who_waits_gets_the_answer_as_the_events_have_it(visitor: VisitorClient) -> None:
    status, body = await call(visitor, "POST", "", {"client_msg_id": "a", "text": "How long?"}, wait=10)
    assert status == 200
    assert body["answer"]["data"]["text"] == TEXT
    events = await (await visitor.get_events(body["conversation_id"])).json()
    assert body["answer"] == events["events"][-1]
    assert "secret" not in str(body)


async def test_an_answer_that_does_not_come_in_time_is_told_later(visitor: VisitorClient) -> None:
    visitor.rig.responder.holds = True
    body = {"client_msg_id": "a", "text": "How long?"}
    status, first = await call(visitor, "POST", "", body, wait=1)
    assert (status, "answer" in first) == (202, False)
    for _ in range(2):
        visitor.rig.responder.go.put_nowait(None)
    status, again = await call(visitor, "POST", "", body, wait=10)
    assert (status, again["ack"], again["answer"]["data"]["text"]) == (200, first["ack"], TEXT)


async def test_the_same_first_message_begins_one_conversation(rig: Rig, visitor: VisitorClient) -> None:
    ids = await asyncio.gather(*(begin(visitor) for _ in range(3)))
    assert len(set(ids)) == 1
    other = await begin(visitor, client_msg_id="b")
    stranger = await begin(await rig.visitor())
    assert len({ids[0], other, stranger}) == 3
    assert sum(event.author == "customer" for event in await public_events(rig, ids[0])) == 1


async def test_a_repeated_message_is_stored_once_and_acknowledged_each_time(visitor: VisitorClient) -> None:
    conversation_id = await begin(visitor, wait=10)
    body = {"client_msg_id": "b", "text": "And shoes?"}
    acks = [(await call(visitor, "POST", f"/{conversation_id}/messages", body))[1]["ack"] for _ in range(3)]
    assert acks == [{"client_msg_id": "b", "seq": 3}] * 3
    changed = {"client_msg_id": "b", "text": "And hats?"}
    status, refused = await call(visitor, "POST", f"/{conversation_id}/messages", changed)
    assert (status, refused["error"]["code"]) == (409, "idempotency_conflict")


async def test_a_socket_and_rest_speak_in_one_conversation(visitor: VisitorClient) -> None:
    conversation_id = await begin(visitor, wait=10)
    socket = await visitor.join(conversation_id=conversation_id, epoch=1, last_seq=2)
    await call(visitor, "POST", f"/{conversation_id}/messages", {"client_msg_id": "b", "text": "And shoes?"})
    asked = await socket.until("message", author="customer")
    assert (asked["seq"], asked["data"]["client_msg_id"]) == (3, "b")
    assert (await socket.until_answered())["seq"] == 4


async def test_an_answer_is_rated_and_one_that_is_not_there_is_not(rig: Rig, visitor: VisitorClient) -> None:
    conversation_id = await begin(visitor, wait=10)
    question, answer = await public_events(rig, conversation_id)
    rating = {"message_id": answer.payload.message_id, "rating": "up", "comment": "clear"}  # type: ignore[union-attr]
    assert await call(visitor, "POST", f"/{conversation_id}/feedback", rating) == (204, {})
    stored = await rig.parts.log.events(ConversationId(conversation_id))
    assert stored[-1].kind == "feedback"
    for wrong in (question.payload.message_id, "m_nowhere"):  # type: ignore[union-attr]
        status, body = await call(visitor, "POST", f"/{conversation_id}/feedback", rating | {"message_id": wrong})
        assert (status, body["error"]["code"]) == (404, "unknown_message")
    status, body = await call(visitor, "POST", f"/{conversation_id}/feedback", rating | {"comment": "x" * 1_001})
    assert (status, body["error"]["code"]) == (400, "text_too_long")


async def test_a_person_is_asked_for(rig: Rig, visitor: VisitorClient) -> None:
    conversation_id = await begin(visitor, wait=10)
    status, body = await call(visitor, "POST", f"/{conversation_id}/handoff", {"reason": "it is urgent"})
    assert (status, body["mode"]) == (200, "waiting")
    assert (await rig.parts.log.head(ConversationId(conversation_id))).last_seq == body["last_seq"]


async def test_a_visitor_lists_their_own_conversations_the_newest_first(rig: Rig, visitor: VisitorClient) -> None:
    await begin(await rig.visitor())
    ids = [await begin(visitor, client_msg_id=f"m{number}", wait=10) for number in range(5)]
    _, body = await call(visitor, "GET", "")
    assert [one["conversation_id"] for one in body["conversations"]] == ids[::-1]
    newest = body["conversations"][0]
    assert (newest["last_seq"], newest["mode"], newest["epoch"]) == (2, "bot", 1)
    pages, before = [], {}
    while listed := (await call(visitor, "GET", "", limit=2, **before))[1]["conversations"]:
        pages.append([one["conversation_id"] for one in listed])
        before = {"before": pages[-1][-1]}
    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert (await call(visitor, "GET", "", before="c_unknown"))[1] == {"conversations": []}


async def test_anothers_conversation_is_404_as_if_there_were_none(rig: Rig, visitor: VisitorClient) -> None:
    conversation_id = await begin(visitor, wait=10)
    stranger = await rig.visitor()
    for action, body in (
        ("messages", {"client_msg_id": "b", "text": "hello"}),
        ("feedback", {"message_id": "m_1", "rating": "up"}),
        ("handoff", {}),
    ):
        theirs = await call(stranger, "POST", f"/{conversation_id}/{action}", body)
        assert theirs == await call(stranger, "POST", f"/c_invented/{action}", body)
        assert theirs[0] == 404
    assert len(await public_events(rig, conversation_id)) == 2


async def test_without_the_secret_nothing_is_done(rig: Rig) -> None:
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("POST", "/c_1/messages"),
        ("POST", "/c_1/feedback"),
        ("POST", "/c_1/handoff"),
    ):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            async with rig.http.request(method, rig.url(f"/v1/conversations{path}"), headers=headers) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (401, "unauthorized")


async def test_what_is_wrong_with_a_message_is_named_and_nothing_is_stored(visitor: VisitorClient) -> None:
    for body, query, code in (
        ({"text": "hello"}, {}, "bad_frame"),
        ({"client_msg_id": "a b", "text": "hello"}, {}, "bad_frame"),
        ({"client_msg_id": "a", "text": "hello", "tenant": "x"}, {}, "bad_frame"),
        ({"client_msg_id": "a", "text": " "}, {}, "text_empty"),
        ({"client_msg_id": "a", "text": "x" * 8_001}, {}, "text_too_long"),
        ({"client_msg_id": "a", "text": "\ud800"}, {}, "bad_text"),
        ({"client_msg_id": "a", "text": "hello"}, {"wait": 31}, "bad_request"),
    ):
        status, answer = await call(visitor, "POST", "", body, **query)
        assert (status, answer["error"]["code"]) == (400, code)
    assert (await call(visitor, "GET", ""))[1] == {"conversations": []}
    for limit in (0, 101, "x"):
        assert (await call(visitor, "GET", "", limit=limit))[0] == 400


async def test_messages_are_limited_as_on_a_socket(start: Any) -> None:
    rig = await start(messages_per_minute=2)
    visitor = await rig.visitor()
    statuses = [(await call(visitor, "POST", "", {"client_msg_id": c, "text": "hi"}, wait=10))[0] for c in "abc"]
    assert statuses == [200, 200, 429]


async def test_overload_is_told_before_anything_is_stored(start: Any) -> None:
    rig = await start(extra={"dialogue": {"max_turns": 1}})
    rig.responder.holds = True
    visitor = await rig.visitor()
    await begin(visitor)
    headers = {"Authorization": f"Bearer {visitor.secret}"}
    body = {"client_msg_id": "b", "text": "hello"}
    async with rig.http.post(rig.url("/v1/conversations"), json=body, headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (429, "rate_limited")
        assert int(response.headers["Retry-After"]) >= 1
    assert len((await call(visitor, "GET", ""))[1]["conversations"]) == 1
    for _ in range(2):
        rig.responder.go.put_nowait(None)


async def test_who_leaves_while_they_wait_loses_nothing(rig: Rig, visitor: VisitorClient) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def later(question: Question, sink: Sink) -> Reply:
        asked.set()
        await go.wait()
        return reply(TEXT)

    rig.responder.answer = later
    body = {"client_msg_id": "a", "text": "How long?"}
    waiting = asyncio.create_task(call(visitor, "POST", "", body, wait=30))
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    waiting.cancel()
    go.set()
    status, again = await call(visitor, "POST", "", body, wait=10)
    assert (status, again["answer"]["data"]["text"]) == (200, TEXT)
