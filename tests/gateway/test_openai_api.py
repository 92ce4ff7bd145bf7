"""OpenAI's official client against the running server, and what that client cannot send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import openai
import pytest
from structlog.testing import capture_logs

from assistant.conversation.events import Citation
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from assistant.gateway import openai_stream
from tests.gateway.rig import PATIENCE_S, Rig, reply

pytestmark = pytest.mark.unit

ASKED: list[Any] = [{"role": "user", "content": "How long can I return shoes?"}]
CITATION = Citation("returns", "Returns", "en/returns.md", "en", "You have 30 days.", 0, 17, 0, 17)
TEXT = "You have 30 days. Shoes have 60."


@pytest.fixture
async def secret(rig: Rig) -> str:
    assert rig.parts.doors is not None
    _, secret = await rig.parts.doors.keys.add("test", "default")
    return secret


@pytest.fixture
async def client(rig: Rig, secret: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=secret, base_url=rig.url("/v1"), max_retries=0, timeout=PATIENCE_S) as client:
        yield client


async def post(rig: Rig, secret: str, body: object, **more: Any) -> aiohttp.ClientResponse:
    headers = {"Authorization": f"Bearer {secret}"}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await rig.http.post(rig.url("/v1/chat/completions"), data=data, headers=headers, **more)


async def cited(question: Question, sink: Sink) -> Reply:
    sink.release("You have 30 days. ")
    sink.release("Shoes have 60.")
    return reply(TEXT, citations=(CITATION,), quick_replies=("Talk to a person",))


@dataclass
class Held:
    """An answer that waits for ``go``."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, question: Question, sink: Sink) -> Reply:
        self.started.set()
        try:
            await self.go.wait()
        finally:
            self.ended.set()
        return reply(TEXT)


async def test_an_answer_has_its_grounds_in_an_extension_field(rig: Rig, client: openai.AsyncOpenAI) -> None:
    rig.responder.answer = cited
    answer = await client.chat.completions.create(model="assistant", messages=ASKED)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", TEXT, "stop")
    known = choice.message.assistant  # type: ignore[attr-defined]
    assert known["decision"] == "composed"
    assert known["confidence"] == 0.9
    assert known["reason"] == "the test says so"
    assert known["quick_replies"] == ["Talk to a person"]
    [citation] = known["citations"]
    assert choice.message.content[citation["text_start"] : citation["text_end"]] == citation["quote"]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (6, 7, 13)


async def test_a_stream_says_the_same_as_the_whole_answer(rig: Rig, client: openai.AsyncOpenAI) -> None:
    rig.responder.answer = cited
    whole = await client.chat.completions.create(model="assistant", messages=ASKED)
    stream = await client.chat.completions.create(
        model="assistant", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert deltas[-1].assistant == whole.choices[0].message.assistant  # type: ignore[attr-defined]
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


async def test_text_is_streamed_while_it_is_written(rig: Rig, client: openai.AsyncOpenAI) -> None:
    rig.responder.holds = True
    stream = await client.chat.completions.create(model="assistant", messages=ASKED, stream=True)
    texts = []
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            texts.append(chunk.choices[0].delta.content)
            rig.responder.go.put_nowait(None)  # the next sentence is written only when this one has come
    assert texts == ["You have 30 days.", " Shoes have 60."]
    assert chunk.usage is None


async def test_the_messages_are_the_history(rig: Rig, client: openai.AsyncOpenAI) -> None:
    seen: list[Question] = []

    async def remember(question: Question, sink: Sink) -> Reply:
        seen.append(question)
        return reply("Yes.")

    rig.responder.answer = remember
    answered = {"decision": "abstained", "citations": [{"entry_id": "en/returns#days", "title": "Returns"}]}
    await client.chat.completions.create(
        model="assistant",
        messages=[
            {"role": "user", "content": "退货可以多久？"},
            {"role": "assistant", "content": "三十天。", "assistant": answered},  # type: ignore[typeddict-unknown-key]
            {"role": "user", "content": [{"type": "text", "text": "鞋子"}, {"type": "text", "text": "也一样吗？"}]},
        ],
    )
    [question] = seen
    assert question.text == "鞋子\n也一样吗？"
    assert question.language == "zh"
    assert list(question.earlier) == ["退货可以多久？"]
    assert list(question.said) == ["退货可以多久？", "三十天。"]
    assert [(turn.question, turn.answer) for turn in question.history] == [("退货可以多久？", "三十天。")]
    assert list(question.past) == ["abstained"]
    assert set(question.just_told) == {"en/returns#days"}


async def test_a_key_answers_for_its_tenant(start: Any) -> None:
    rig = await start(extra={"tenants": {"second": {"root": "knowledge_base"}}})
    seen: list[str] = []

    async def remember(question: Question, sink: Sink) -> Reply:
        seen.append(question.tenant)
        return reply("Yes.")

    rig.responder.answer = remember
    for tenant in ("default", "second"):
        _, secret = await rig.parts.doors.keys.add("test", tenant)
        async with await post(rig, secret, {"model": "assistant", "messages": ASKED}) as response:
            assert response.status == 200
    assert seen == ["", "second"]


async def test_nothing_is_stored_and_nothing_is_logged_of_what_was_said(
    rig: Rig, client: openai.AsyncOpenAI, secret: str
) -> None:
    with capture_logs() as lines:
        await client.chat.completions.create(model="assistant", messages=ASKED)
    assert "shoes" not in str(lines)
    assert secret not in str(lines)
    stored = b"".join(path.read_bytes() for path in rig.parts.settings.data_dir.glob("conversations.sqlite3*"))
    assert b"shoes" not in stored
    assert secret.encode() not in stored


CUTS = [(1, "You", "length"), (5, "You have 30 days. Shoes", "length"), (7, TEXT, "stop"), (90, TEXT, "stop")]


async def test_an_answer_is_cut_at_the_token_limit_and_keeps_the_citations_that_fit(
    rig: Rig, client: openai.AsyncOpenAI
) -> None:
    rig.responder.answer = cited
    for max_tokens, text, finish in CUTS:
        answer = await client.chat.completions.create(
            model="assistant", messages=ASKED, max_completion_tokens=max_tokens
        )
        [choice] = answer.choices
        assert (choice.message.content, choice.finish_reason) == (text, finish)
        assert len(choice.message.assistant["citations"]) == (len(text) >= 17)  # type: ignore[attr-defined]


async def test_a_stream_is_cut_like_a_whole_answer(rig: Rig, client: openai.AsyncOpenAI) -> None:
    rig.responder.answer = cited
    for max_tokens, text, finish in CUTS:
        stream = await client.chat.completions.create(
            model="assistant", messages=ASKED, max_tokens=max_tokens, stream=True
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
        assert chunks[-1].choices[0].finish_reason == finish


async def test_a_final_text_that_does_not_go_on_from_what_was_shown_follows_it(
    rig: Rig, client: openai.AsyncOpenAI
) -> None:
    async def changes(question: Question, sink: Sink) -> Reply:
        sink.release("I looked it up. ")
        return reply("You have 30 days.", citations=(CITATION,))

    rig.responder.answer = changes
    stream = await client.chat.completions.create(model="assistant", messages=ASKED, stream=True)
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "I looked it up.\n\nYou have 30 days."
    [citation] = chunks[-1].choices[0].delta.assistant["citations"]  # type: ignore[attr-defined]
    assert text[citation["text_start"] : citation["text_end"]] == citation["quote"]


async def test_the_one_model_is_the_assistant(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["assistant"]
    assert (await client.models.retrieve("assistant")).object == "model"
    with pytest.raises(openai.NotFoundError, match="Use the model 'assistant'"):
        await client.models.retrieve("gpt-4o")
    with pytest.raises(openai.NotFoundError) as refused:
        await client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert refused.value.code == "model_not_found"


# -- who gets in


async def test_without_any_key_the_door_is_closed_and_says_how_to_open_it(rig: Rig) -> None:
    async with await post(rig, "ask_guessed", {"model": "assistant", "messages": ASKED}) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"], error["param"]) == (401, "invalid_api_key", None)
        assert "assistant keys add" in error["message"]
    assert rig.responder.questions == []


async def test_a_wrong_key_is_401_everywhere(rig: Rig, secret: str) -> None:
    for given in (None, "", "Bearer", "Bearer ask_wrong", "Basic abc", "Bearer \udcff", f"bearer {secret}x"):
        headers = {} if given is None else {"Authorization": given}
        for path in ("/v1/chat/completions", "/webhooks/rest/webhook"):
            async with rig.http.post(rig.url(path), headers=headers, json={}) as response:
                assert response.status == 401
                assert "keys list" in (await response.json())["error"]["message"]


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(rig: Rig, client: openai.AsyncOpenAI) -> None:
    assert rig.parts.doors is not None
    keys = rig.parts.doors.keys
    await client.models.list()
    [key] = await keys.all()
    assert await keys.revoke(key.key_id)
    with pytest.raises(openai.AuthenticationError):
        await client.models.list()


async def test_a_visitors_secret_is_no_key_and_a_key_no_visitors_secret(rig: Rig, secret: str) -> None:
    visitor = await rig.visitor()
    async with await post(rig, visitor.secret, {"model": "assistant", "messages": ASKED}) as response:
        assert response.status == 401
    headers = {"Authorization": f"Bearer {secret}"}
    async with rig.http.get(rig.url("/v1/conversations"), headers=headers) as response:
        assert response.status == 401


async def test_guessing_keys_is_slowed_down(start: Any) -> None:
    rig = await start(handshakes_per_minute=3)
    statuses = []
    for number in range(5):
        async with await post(rig, f"ask_{number}", {}) as response:
            statuses.append(response.status)
            error = (await response.json())["error"]
    assert statuses == [401, 401, 401, 429, 429]
    assert error["type"] == "rate_limit_error"


async def test_one_keys_requests_are_limited_without_the_others(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.gateway.limits.REQUESTS_PER_MINUTE", 2)
    rig = await start()
    keys = [(await rig.parts.doors.keys.add("test", "default"))[1] for _ in range(2)]
    statuses = []
    for secret in (keys[0], keys[0], keys[0], keys[1]):
        async with await post(rig, secret, {"model": "assistant", "messages": ASKED}) as response:
            statuses.append((response.status, "Retry-After" in response.headers))
    assert statuses == [(200, False), (200, False), (429, True), (200, False)]


# -- what is refused


async def test_what_cannot_be_honoured_is_400_and_named(rig: Rig, client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="has one answer") as refused:
        await client.chat.completions.create(model="assistant", messages=ASKED, n=2)
    assert (refused.value.param, refused.value.type) == ("n", "invalid_request_error")
    assert rig.responder.questions == []


BAD_BODIES = [
    (b"", 400, "not_json"),
    (b"[]", 400, "bad_frame"),
    (b"[" * 100, 400, "too_deep"),
    (b'{"model":"assistant","messages":"' + b"x" * 70_000 + b'"}', 413, "too_large"),
]


async def test_a_bad_body_is_told_in_openais_shape(rig: Rig, secret: str) -> None:
    for body, status, code in BAD_BODIES:
        async with await post(rig, secret, body) as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"]) == (status, code)
            assert set(error) == {"message", "type", "param", "code"}


async def test_over_the_limit_of_running_answers_clients_are_told_to_wait(start: Any) -> None:
    rig = await start(extra={"dialogue": {"max_turns": 1}})
    _, secret = await rig.parts.doors.keys.add("test", "default")
    rig.responder.answer = held = Held()
    first = asyncio.create_task(post(rig, secret, {"model": "assistant", "messages": ASKED}))
    await asyncio.wait_for(held.started.wait(), PATIENCE_S)
    async with await post(rig, secret, {"model": "assistant", "messages": ASKED}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(response.headers["Retry-After"]) >= 1
    held.go.set()
    async with await first as response:
        assert response.status == 200
    async with await post(rig, secret, {"model": "assistant", "messages": ASKED}) as response:
        assert response.status == 200


async def test_programs_and_customers_take_the_same_places(start: Any) -> None:
    rig = await start(extra={"dialogue": {"max_turns": 1}})
    _, secret = await rig.parts.doors.keys.add("test", "default")
    rig.responder.answer = held = Held()
    socket = await (await rig.visitor()).join()
    await socket.say("first", "a")
    await asyncio.wait_for(held.started.wait(), PATIENCE_S)
    async with await post(rig, secret, {"model": "assistant", "messages": ASKED, "stream": True}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (429, "rate_limit_exceeded")
    held.go.set()
    await socket.until_answered()
    held.go.clear()
    held.started.clear()
    asking = asyncio.create_task(post(rig, secret, {"model": "assistant", "messages": ASKED}))
    await asyncio.wait_for(held.started.wait(), PATIENCE_S)
    await socket.say("second", "b")
    assert (await socket.until("busy"))["data"]["client_msg_id"] == "b"
    held.go.set()
    async with await asking as response:
        assert response.status == 200


async def test_a_program_that_waits_too_long_for_its_turn_is_told_so(start: Any) -> None:
    rig = await start(extra={"dialogue": {"max_running": 1, "queue_timeout_s": 0.05}})
    _, secret = await rig.parts.doors.keys.add("test", "default")
    rig.responder.answer = held = Held()
    first = asyncio.create_task(post(rig, secret, {"model": "assistant", "messages": ASKED}))
    await asyncio.wait_for(held.started.wait(), PATIENCE_S)
    async with await post(rig, secret, {"model": "assistant", "messages": ASKED, "stream": True}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(response.headers["Retry-After"]) >= 1
    held.go.set()
    async with await first as response:
        assert response.status == 200
    assert rig.parts.manager.admission.num_taken == 0


# -- what goes wrong


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_stops_the_work(rig: Rig, secret: str, stream: bool) -> None:
    rig.responder.answer = held = Held()
    body = {"model": "assistant", "messages": ASKED, "stream": stream}
    asking = asyncio.create_task(post(rig, secret, body))
    await asyncio.wait_for(held.started.wait(), PATIENCE_S)
    if stream:
        (await asking).close()
    else:
        asking.cancel()
    await asyncio.wait_for(held.ended.wait(), PATIENCE_S)


async def test_a_client_that_does_not_read_is_cut_off(rig: Rig, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_stream, "SLOW_S", 0.1)
    ended = asyncio.Event()

    async def long(question: Question, sink: Sink) -> Reply:
        sink.release("word " * 4_000_000)  # more than both sockets' buffers hold
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return reply(TEXT)

    rig.responder.answer = long
    async with await post(rig, secret, {"model": "assistant", "messages": ASKED, "stream": True}) as response:
        assert response.status == 200
        await asyncio.wait_for(ended.wait(), PATIENCE_S)
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_a_fault_before_the_answer_is_500_without_its_details(rig: Rig, client: openai.AsyncOpenAI) -> None:
    async def broken(question: Question, sink: Sink) -> Reply:
        raise RuntimeError("a secret detail")

    rig.responder.answer = broken
    with pytest.raises(openai.InternalServerError) as failed:
        await client.chat.completions.create(model="assistant", messages=ASKED)
    assert "secret" not in str(failed.value)


async def test_a_fault_in_the_middle_is_told_in_the_stream(rig: Rig, client: openai.AsyncOpenAI) -> None:
    async def broken(question: Question, sink: Sink) -> Reply:
        sink.release("You have 30 days. ")
        raise RuntimeError("a secret detail")

    rig.responder.answer = broken
    stream = await client.chat.completions.create(model="assistant", messages=ASKED, stream=True)
    with pytest.raises(openai.APIError) as failed:
        await anext(chunk async for chunk in stream if chunk.choices[0].finish_reason)
    assert "secret" not in str(failed.value)


async def test_an_answer_that_takes_too_long_is_given_up(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = await start(extra={"dialogue": {"turn_timeout_s": 0.05}})
    monkeypatch.setattr("assistant.gateway.openai_api.GRACE_S", 0.0)
    _, secret = await rig.parts.doors.keys.add("test", "default")
    rig.responder.holds = True
    async with await post(rig, secret, {"model": "assistant", "messages": ASKED}) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (503, "server_error")


async def test_a_silent_stream_shows_that_it_lives(rig: Rig, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_stream, "SIGN_OF_LIFE_S", 0.0)
    monkeypatch.setattr("assistant.gateway.completion.POLL_S", 0.01)
    rig.responder.holds = True
    body = {"model": "assistant", "messages": ASKED, "stream": True}
    async with await post(rig, secret, body) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        seen = b""
        while b": still at work\n\n" not in seen:
            seen += await asyncio.wait_for(response.content.readany(), PATIENCE_S)
        for _ in range(2):
            rig.responder.go.put_nowait(None)
        rest = await asyncio.wait_for(response.read(), PATIENCE_S)
    assert rest.endswith(b"data: [DONE]\n\n")
