"""What a scrape of ``/metrics`` tells: doors, queues, limits, the ladder, the model's breaker, webhooks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from assistant.config import Settings
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Message, NewEvent, Opened
from assistant.conversation.failed_webhooks import FailedWebhooks
from assistant.conversation.outbox import Outbox
from assistant.dialogue.breaker import Breaker
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from assistant.gateway.app import make_app
from assistant.gateway.parts import Parts
from assistant.gateway.webhooks import running_webhooks
from tests.gateway.conftest import StartRig
from tests.gateway.receiver import SECRET, answers, listening
from tests.gateway.rig import Clock, Rig, ScriptedResponder, SocketClient, VisitorClient, build_parts

pytestmark = pytest.mark.unit

Numbers = dict[str, float]
Look = Callable[[], Awaitable[Numbers]]


def numbers(text: str) -> Numbers:
    """Every sample by its name and labels as they are written."""
    return {name: float(value) for name, value in re.findall(r"^(assistant_\S+) (\S+)$", text, re.M)}


async def scrape(rig: Rig) -> Numbers:
    async with rig.http.get(rig.url("/metrics")) as response:
        assert response.status == 200
        return numbers(await response.text())


async def until(look: Look, condition: Callable[[Numbers], bool]) -> Numbers:
    async with asyncio.timeout(5):
        while not condition(found := await look()):  # noqa: ASYNC110 (nobody is told of a metric that has changed)
            await asyncio.sleep(0.01)
    return found


async def test_questions_of_every_door_are_counted_and_so_are_their_answers(rig: Rig, visitor: VisitorClient) -> None:
    assert rig.parts.doors is not None
    _, key = await rig.parts.doors.keys.add("shop", "default")
    socket = await visitor.join()
    await socket.say("by socket")
    await socket.until_answered()
    mine, program = {"Authorization": f"Bearer {visitor.secret}"}, {"Authorization": f"Bearer {key}"}
    completion: dict[str, object] = {"model": "assistant", "messages": [{"role": "user", "content": "as a program"}]}
    posts = [
        ("/v1/conversations?wait=10", mine, {"client_msg_id": "a", "text": "waiting"}),
        ("/webhooks/rest/webhook", program, {"sender": "ann", "message": "by channel"}),
        ("/v1/chat/completions", program, completion),
        ("/v1/chat/completions", program, completion | {"stream": True}),
    ]
    for path, headers, body in posts:
        async with rig.http.post(rig.url(path), json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            await response.read()
    found = await scrape(rig)
    by_door = {door: found[f'assistant_questions_total{{door="{door}"}}'] for door in ("socket", "rest", "rasa")}
    assert by_door == {"socket": 1, "rest": 1, "rasa": 1}
    assert found['assistant_questions_total{door="openai"}'] == 2
    assert found["assistant_messages_total"] == 3, "what programs ask is not stored"
    assert found['assistant_turns_total{decision="composed"}'] == 5
    assert found["assistant_turn_seconds_count"] == found["assistant_first_text_seconds_count"] == 5


async def test_an_answer_that_is_fetched_later_is_counted_once(rig: Rig, visitor: VisitorClient) -> None:
    headers, body = {"Authorization": f"Bearer {visitor.secret}"}, {"client_msg_id": "a", "text": "not waiting"}
    async with rig.http.post(rig.url("/v1/conversations"), json=body, headers=headers) as response:
        conversation_id = (await response.json())["conversation_id"]

    async def look() -> Numbers:
        async with await visitor.get_events(conversation_id):
            return await scrape(rig)

    composed = 'assistant_turns_total{decision="composed"}'
    await until(look, lambda found: composed in found)
    assert (await look())[composed] == 1


async def test_turns_that_run_and_turns_that_wait_are_told_apart_whatever_their_door(start: StartRig) -> None:
    rig = await start(extra={"dialogue": {"max_running": 1}})
    assert rig.parts.doors is not None
    _, key = await rig.parts.doors.keys.add("shop", "default")
    rig.responder.holds = True
    socket = await (await rig.visitor()).join()
    await socket.say("first")
    await socket.until("delta")
    asked = {"model": "assistant", "messages": [{"role": "user", "content": "second"}]}
    headers = {"Authorization": f"Bearer {key}"}
    second = asyncio.create_task(rig.http.post(rig.url("/v1/chat/completions"), json=asked, headers=headers))
    found = await until(lambda: scrape(rig), lambda found: found["assistant_turns_waiting"] > 0)
    assert (found["assistant_turns_running"], found["assistant_turns_waiting"]) == (1, 1)
    rig.responder.holds = False
    rig.responder.go.put_nowait(None)
    rig.responder.go.put_nowait(None)
    async with await second as response:
        assert response.status == 200
    await socket.until_answered()
    found = await scrape(rig)
    assert (found["assistant_turns_running"], found["assistant_turns_waiting"]) == (0, 0)


async def too_many_messages(rig: Rig) -> None:
    socket = await (await rig.visitor()).join()
    for number in range(2):
        await socket.send("handoff", reason=f"{number}")
    await socket.until("error", code="rate_limited")


async def too_long_a_day(rig: Rig) -> None:
    await _refused(await (await rig.visitor()).join())


async def _refused(socket: SocketClient) -> None:
    await socket.say("x" * 900)
    await socket.until("error", code="rate_limited")


async def too_many_sockets_of_an_address(rig: Rig) -> None:
    visitor = await rig.visitor()
    open_one = await visitor.upgrade()
    with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
        await visitor.upgrade()
    await open_one.close()


async def too_many_sockets_of_a_visitor(rig: Rig) -> None:
    visitor = await rig.visitor()
    first, _ = await visitor.join(), await visitor.join()
    assert await first.closed() == 4409


async def too_many_turns(rig: Rig) -> None:
    rig.responder.holds = True
    for word in ("ack", "busy"):
        socket = await (await rig.visitor()).join()
        await socket.say("hold on")
        await socket.until(word)


@pytest.mark.parametrize(
    ("overdo", "limit", "limits"),
    [
        (too_many_messages, "messages", {"messages_per_minute": 1}),
        (too_long_a_day, "budget", {"tokens_per_day": 500}),
        (too_many_sockets_of_an_address, "sockets_per_address", {"sockets_per_address": 1}),
        (too_many_sockets_of_a_visitor, "sockets_per_visitor", {"sockets_per_visitor": 1}),
        (too_many_turns, "turns", {"drain_s": 0.05, "extra": {"dialogue": {"max_turns": 1}}}),
    ],
)
async def test_what_is_one_too_many_is_counted_by_its_limit(
    start: StartRig, overdo: Callable[[Rig], Awaitable[None]], limit: str, limits: dict[str, object]
) -> None:
    rig = await start(**limits)
    await overdo(rig)
    limited = {name: value for name, value in (await scrape(rig)).items() if "limited_total" in name}
    assert limited == {f'assistant_limited_total{{limit="{limit}"}}': 1}


async def test_a_turn_that_fails_is_counted_by_the_rung_it_came_down_to(rig: Rig, visitor: VisitorClient) -> None:
    async def broken(question: Question, sink: Sink) -> Reply:
        raise RuntimeError("broken")

    rig.responder.answer = broken
    socket = await visitor.join()
    await socket.say("break, please")
    await socket.until_answered()
    found = await scrape(rig)
    rungs = {rung: found[f'assistant_degraded_total{{rung="{rung}"}}'] for rung in ("without_model", "cut_short")}
    assert rungs == {"without_model": 0, "cut_short": 0}
    assert found['assistant_degraded_total{rung="person"}'] == 1


@pytest.fixture
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    database = Database(settings.log_url)
    await database.open()
    parts, manager = build_parts(settings, database, ScriptedResponder(), [])
    yield parts
    await manager.close()
    await database.close()


@asynccontextmanager
async def serving(parts: Parts) -> AsyncIterator[Look]:
    async with TestClient(TestServer(make_app(parts), host="127.0.0.1")) as client:

        async def look() -> Numbers:
            async with client.get("/metrics") as response:
                return numbers(await response.text())

        yield look


async def test_the_models_breaker_shows_its_state_and_how_often_it_opened(parts: Parts) -> None:
    breaker = Breaker(max_failures=1, pause_s=30, clock=(clock := Clock()))
    states = []
    async with serving(replace(parts, breaker=breaker)) as look:
        for happens in (lambda: None, breaker.begin().fail, lambda: setattr(clock, "now", clock.now + 30)):
            happens()
            found = await look()
            states.append([name for name in found if "model_breaker{" in name and found[name] == 1])
    expected = ["closed", "open", "half_open"]
    assert states == [[f'assistant_model_breaker{{state="{state}"}}'] for state in expected]
    assert found["assistant_model_breaker_openings_total"] == 1


async def test_webhooks_are_counted_for_each_endpoint(
    parts: Parts, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    database = Database(settings.log_url)
    async with AsyncExitStack() as stack:
        await database.open()
        stack.push_async_callback(database.close)
        good, bad = [await stack.enter_async_context(listening()) for _ in range(2)]
        bad.answer = answers(500)
        hooks = [
            {"name": name, "url": receiver.url, "secret_env": "HOOK_SECRET", "allow_private": True}
            for name, receiver in (("good", good), ("bad", bad))
        ]
        outbox, failed = Outbox(database), FailedWebhooks(database)
        for hook in hooks:
            await outbox.begin(str(hook["name"]))
        visitor, _ = await parts.visitors.add("default")
        said = Message("m_1", "hello", "<p>hello</p>", "en")
        opening = Opened("default", visitor.visitor_id)
        await parts.log.append(ConversationId("c_1"), [NewEvent("customer", said)], opening=opening)
        endpoints = Settings(webhooks=hooks).webhooks
        running = await stack.enter_async_context(
            running_webhooks(endpoints, log=parts.log, outbox=outbox, failed=failed, poll_s=0.01)
        )
        await good.next()
        await bad.next()
        look = await stack.enter_async_context(serving(replace(parts, webhooks=running)))
        found = await until(
            look,
            lambda found: (
                found['assistant_webhooks_total{endpoint="bad",outcome="failed"}'] > 0
                and not found['assistant_webhooks_waiting{endpoint="good"}']
            ),
        )
    assert found['assistant_webhooks_total{endpoint="good",outcome="taken"}'] == 1
    assert found['assistant_webhooks_total{endpoint="good",outcome="failed"}'] == 0
    assert found['assistant_webhooks_waiting{endpoint="bad"}'] == 1
    assert found['assistant_webhooks_given_up{endpoint="bad"}'] == 0
