from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import structlog
from aiohttp import web

from assistant.config import Settings, WebhookSettings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import (
    Action,
    ConversationId,
    Feedback,
    Insight,
    Message,
    NewEvent,
    Opened,
    Payload,
    State,
)
from assistant.conversation.failed_webhooks import FailedWebhook, FailedWebhooks
from assistant.conversation.log import ConversationLog
from assistant.conversation.outbox import Outbox
from assistant.conversation.visitors import Visitors
from assistant.errors import ConfigError
from assistant.gateway import webhook_client, webhooks
from assistant.gateway.public_addresses import is_public
from assistant.gateway.webhook_client import open_client
from assistant.gateway.webhook_message import Webhook, headers, new_secret, signing_keys, trial_webhook
from assistant.gateway.webhooks import running_webhooks, wait_s
from tests.databases import opened
from tests.gateway.receiver import SECRET, Receiver, answers, hangs, listening, ok

pytestmark = pytest.mark.unit
DAY_S = 86_400


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_WAIT_S", 0.02)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


class Ahead:
    """The true time, and how far the test is ahead of it: events carry the true time."""

    def __init__(self) -> None:
        self.by_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.by_s


class House:
    """A log with customers in it, and the webhooks of one server at a time."""

    def __init__(self, database: Database, visitor_id: str, clock: Ahead) -> None:
        self.log = ConversationLog(database, Bus())
        self.database = database
        self.outbox = Outbox(database, clock=clock, lease_s=0.2)
        self.failed = FailedWebhooks(database)
        self.clock = clock
        self._visitor_id = visitor_id

    def running(self, *endpoints: dict[str, object]) -> AbstractAsyncContextManager[None]:
        parsed = Settings(webhooks=endpoints).webhooks
        return running_webhooks(parsed, log=self.log, outbox=self.outbox, failed=self.failed, poll_s=0.01)

    async def append(self, *payloads: Payload, conversation: str = "c_1", tenant: str = "default") -> None:
        opening = Opened(tenant, self._visitor_id)
        new = [NewEvent("customer", payload) for payload in payloads]
        await self.log.append(ConversationId(conversation), new, opening=opening)

    async def known(self, name: str = "shop") -> None:
        """The endpoint is known from now on."""
        await self.outbox.begin(name)


def message(text: str, **more: Any) -> Message:
    return Message(f"m_{text}", text, f"<p>{text}</p>", "en", **more)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    database = await opened(settings.log_url)
    visitor, _ = await Visitors(database).add("default")
    yield House(database, visitor.visitor_id, Ahead())
    await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as found:
        yield found


# -- what is said


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    keys = signing_keys(WebhookSettings(name="a", url="https://a.example/", secret_env="HOOK_SECRET"))
    example = Webhook("msg_p5jXN8AQM9LWM0D4loKWxJek", "test", b'{"test": 2432232314}')
    signed = headers(example, keys, timestamp_s=1614265330)
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signed["webhook-timestamp"] == "1614265330"


def test_while_a_secret_changes_the_new_and_the_old_one_both_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", f"{new_secret()} {SECRET}")
    keys = signing_keys(WebhookSettings(name="a", url="https://a.example/", secret_env="HOOK_SECRET"))
    example = Webhook("msg_p5jXN8AQM9LWM0D4loKWxJek", "test", b'{"test": 2432232314}')
    both = headers(example, keys, timestamp_s=1614265330)["webhook-signature"].split(" ")
    assert len(both) == 2
    assert both[1] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("given", ["", "hunter2-hunter2-hunter2-hunter2", "whsec_c2hvcnQ=", "whsec_!!", SECRET * 3])
async def test_a_missing_or_weak_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HOOK_SECRET", given)
    with pytest.raises(ConfigError, match="HOOK_SECRET") as refused:
        async with open_client(WebhookSettings(name="a", url="https://a.example/", secret_env="HOOK_SECRET")):
            pass
    assert not given or given not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_env": ""},
        {"secret_env": "A", "secret_file": "/x"},
        {"url": "http://hooks.example/x", "allow_private": False},
        {"url": "https://user:password@hooks.example/"},
        {"events": ["message.deleted"]},
    ],
)
def test_a_wrong_endpoint_is_refused(wrong: dict[str, object]) -> None:
    values = {"name": "a", "url": "https://a.example/", "secret_env": "A"} | wrong
    with pytest.raises(ValueError, match="validation error"):
        Settings(webhooks=[values])


async def test_each_kind_of_event_is_told_as_its_type_and_nothing_private_is(house: House, receiver: Receiver) -> None:
    await house.known()
    private = {"reason": "private-reason", "model": "private-model", "passages": (), "prompt_id": "private-prompt"}
    await house.append(
        message("Hello", client_msg_id="a"),
        Insight("m_Hello", "negative", "high", "private-intent"),
        Action("order_status", "requested", {"order": "private-argument"}, "key"),
        message("30 days", **private),
        State("human", assignee="Anna"),
        Feedback("m_30 days", "down", "too short"),
    )
    async with house.running(receiver.settings()):
        told = await receiver.until(4)
    kinds = [webhook["type"] for webhook in told]
    assert kinds == ["message.created", "message.created", "conversation.state_changed", "feedback.created"]
    assert told[0]["data"] == {
        "conversation_id": "c_1",
        "position": 2,
        "seq": 1,
        "tenant": "default",
        "visitor_id": house._visitor_id,
        "author": "customer",
        "message_id": "m_Hello",
        "text": "Hello",
        "html": "<p>Hello</p>",
        "language": "en",
        "client_msg_id": "a",
    }
    assert told[3]["data"]["rating"] == "down"
    assert "private" not in str(told)


async def test_a_wish_for_a_person_is_told_once_however_often_it_is_repeated(house: House, receiver: Receiver) -> None:
    await house.known()
    await house.append(State("waiting"), State("waiting", queue_position=2), State("human"), State("waiting"))
    async with house.running(receiver.settings(events=["handoff.requested"])):
        told = await receiver.until(2)
    assert [webhook["data"]["position"] for webhook in told] == [2, 5]
    assert receiver.came.empty()


async def test_an_endpoint_hears_of_its_own_tenants_and_events_only(house: House, receiver: Receiver) -> None:
    await house.known()
    await house.append(message("one"), State("human"), conversation="c_1", tenant="first")
    await house.append(message("two"), State("human"), conversation="c_2", tenant="second")
    async with house.running(receiver.settings(tenants=["second"], events=["message.created"])):
        assert (await receiver.next())["data"]["text"] == "two"
        await house.append(message("three"), conversation="c_2", tenant="second")
        assert (await receiver.next())["data"]["text"] == "three"


async def test_a_new_endpoint_is_not_told_of_the_past(house: House, receiver: Receiver) -> None:
    await house.append(message("past"), State("waiting"))
    house.clock.by_s = 0.01  # nothing happens in the same millisecond
    await house.known()
    async with house.running(receiver.settings()):
        await asyncio.sleep(0.02)
        await house.append(message("present"))
        told = await receiver.next()
    assert told["data"]["text"] == "present"
    assert receiver.came.empty()


# -- until it is taken


async def test_what_is_not_taken_is_sent_again_under_the_same_id_and_holds_back_what_follows(
    house: House, receiver: Receiver
) -> None:
    await house.known()
    receiver.answer = answers(500)
    await house.append(message("one"), message("two"))
    async with house.running(receiver.settings()):
        first = await receiver.next()
        receiver.answer = ok
        again, following = await receiver.until(2)
    assert (first["id"], first["data"]) == (again["id"], again["data"])
    assert [first["data"]["text"], following["data"]["text"]] == ["one", "two"]
    assert following["id"] != first["id"]


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 429, 500, 503])
async def test_only_2xx_counts_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = answers(status, Location=receiver.url)
    async with open_client(WebhookSettings(**receiver.settings())) as client:
        outcome = await client.send(trial_webhook())
    assert (outcome.is_taken, outcome.reason) == (False, f"http_{status}")
    assert receiver.came.qsize() == 1


async def test_an_endpoint_that_says_when_to_come_back_is_obeyed_within_reason(receiver: Receiver) -> None:
    waits = []
    for said in ("120", "99999999", "soon"):
        receiver.answer = answers(503, **{"Retry-After": said})
        async with open_client(WebhookSettings(**receiver.settings())) as client:
            waits.append((await client.send(trial_webhook())).retry_after_s)
    assert waits == [120, 3_600, 0]


async def test_an_endless_answer_is_not_read(receiver: Receiver) -> None:
    sent = 0

    async def endless(_: dict[str, Any]) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        request = current.pop()
        await response.prepare(request)
        try:
            for _ in range(4_096):
                await response.write(b"x" * 16_384)
                sent += 16_384
        except ConnectionError:
            pass
        return response

    current: list[web.Request] = []
    plain = receiver.handle

    async def handle(request: web.Request) -> web.StreamResponse:
        current.append(request)
        return await plain(request)

    receiver.answer = endless
    app = web.Application()
    app.router.add_post("/hook", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    async with open_client(WebhookSettings(**receiver.settings(url=url)), timeout_s=5) as client:
        assert (await client.send(trial_webhook())).is_taken
    await runner.cleanup()
    assert sent < 32 * 1024 * 1024  # what the sockets' buffers took before the connection was cut


async def test_an_endpoint_that_never_answers_is_left_after_the_time_out(receiver: Receiver) -> None:
    receiver.answer = hangs
    async with open_client(WebhookSettings(**receiver.settings()), timeout_s=0.1) as client:
        assert (await client.send(trial_webhook())).reason == "timeout"


async def test_a_dead_endpoint_slows_no_other(house: House, receiver: Receiver) -> None:
    async with listening() as dead:
        dead.answer = hangs
        await house.known("dead")
        await house.known("shop")
        async with house.running(dead.settings("dead"), receiver.settings()):
            await dead_is_busy(house, dead)
            await house.append(*(message(str(number)) for number in range(20)), conversation="c_other")
            told = await receiver.until(20 + webhooks.MAX_AT_ONCE)
    assert len({webhook["id"] for webhook in told}) == 24
    assert dead.came.empty()


async def dead_is_busy(house: House, dead: Receiver) -> None:
    """All that the endpoint may have at a time hangs."""
    for number in range(webhooks.MAX_AT_ONCE):
        await house.append(message("hello"), conversation=f"c_hang{number}")
    await dead.until(webhooks.MAX_AT_ONCE)


async def test_what_is_not_taken_for_a_day_is_kept_as_failed_and_sent_again_on_request(
    house: House, receiver: Receiver
) -> None:
    house.outbox = Outbox(house.database, clock=house.clock, lease_s=2 * DAY_S)  # the clock will jump within a visit
    await house.known()
    receiver.answer = answers(500)
    await house.append(message("one"), message("two"))
    async with house.running(receiver.settings()):
        await receiver.until(2)  # the first failure is written down
        house.clock.by_s = DAY_S + 60
        failed = await _until_failed(house, 2)
        assert [(webhook.position, webhook.reason) for webhook in failed] == [(2, "http_500"), (3, "http_500")]
        receiver.answer = ok
        assert await house.failed.retry([failed[0].webhook_id], at=house.outbox.at()) == 1
        left = await _until_failed(house, 1)
    (again,) = receiver.took
    assert (again["id"], again["data"]["text"]) == (failed[0].webhook_id, "one")
    assert [webhook.position for webhook in left] == [3]


async def _until_failed(house: House, num: int) -> list[FailedWebhook]:
    async with asyncio.timeout(10):
        while True:
            failed = await house.failed.all()
            if len(failed) == num:
                return failed
            await asyncio.sleep(0.01)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.01)


def test_the_waits_grow_to_an_hour_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waits = [wait_s(attempts) for attempts in range(1, 40)]
    assert all(2.5 <= wait <= 5 for wait in (wait_s(1) for _ in range(100)))
    assert max(waits) <= 3_600
    assert min(wait_s(30) for _ in range(100)) >= 1_800
    assert len({wait_s(3) for _ in range(10)}) > 5


# -- crashes


async def test_through_restarts_and_failures_every_event_arrives_in_order(house: House, receiver: Receiver) -> None:
    dice = random.Random(7)
    num_conversations, num_events = 4, 10

    async def moody(_: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=dice.choice([204, 204, 204, 500, 429]))

    receiver.answer = moody
    await house.known()
    for number in range(num_events):
        for conversation in range(num_conversations):
            await house.append(message(str(number)), conversation=f"c_{conversation}")
    num_taken, num_all = 0, num_conversations * num_events
    while num_taken < num_all:
        num_taken = min(num_taken + dice.randint(1, 8), num_all)
        async with house.running(receiver.settings()):
            await _until(lambda wanted=num_taken: len({webhook["id"] for webhook in receiver.took}) >= wanted)
    taken: dict[str, list[int]] = {}
    for webhook in receiver.took:
        texts = taken.setdefault(webhook["data"]["conversation_id"], [])
        if int(webhook["data"]["text"]) not in texts:  # at least once
            texts.append(int(webhook["data"]["text"]))
    assert taken == {f"c_{number}": list(range(num_events)) for number in range(num_conversations)}


async def test_what_a_killed_process_held_is_sent_when_its_lease_runs_out(house: House, receiver: Receiver) -> None:
    await house.known()
    await house.append(message("one"))
    assert await house.outbox.note_new("shop") == 1
    assert len(await house.outbox.take_due("shop", limit=4)) == 1  # and now the process is gone
    async with house.running(receiver.settings()):
        assert (await receiver.next())["data"]["text"] == "one"


async def test_two_processes_do_not_send_the_same_at_the_same_time(house: House) -> None:
    await house.known()
    await house.append(message("one"))
    await house.outbox.note_new("shop")
    taken = await asyncio.gather(*(house.outbox.take_due("shop", limit=4) for _ in range(5)))
    assert sum(len(visits) for visits in taken) == 1


# -- where it may go


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.8", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.2.7", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::a00:1", "64:ff9b::7f00:1", "localhost", ""),
    ],
)
def test_an_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1", "[::ffff:127.0.0.1]", "rebound.example"]
)
async def test_nothing_on_this_machine_is_reached_however_it_is_spelled(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    real = socket.getaddrinfo

    def rebound(name: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if name == "rebound.example" else name, *rest, **more)

    monkeypatch.setattr(webhook_client.socket, "getaddrinfo", rebound)
    port = receiver.url.split(":")[2].split("/")[0]
    values = {"name": "a", "url": f"https://{host}:{port}/hook", "secret_env": "HOOK_SECRET"}
    settings = WebhookSettings(**values).model_copy(update={"url": f"http://{host}:{port}/hook"})
    async with open_client(settings) as client:
        outcome = await client.send(trial_webhook())
    assert outcome.reason in ("private_address", "connection")
    assert not outcome.is_taken
    assert receiver.came.empty()


async def test_no_secret_address_or_word_of_a_customer_is_logged(house: House, receiver: Receiver) -> None:
    await house.known()
    await house.append(message("canary-text"))
    with structlog.testing.capture_logs() as lines:
        async with house.running(receiver.settings(url=receiver.url + "?key=canary-key")):
            await _until(lambda: any(line["event"] == "webhook" for line in lines))
    assert "canary" not in str(lines)
    assert SECRET not in str(lines)
