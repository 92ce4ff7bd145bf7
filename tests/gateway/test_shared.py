"""Several processes as one: limits, tokens and sockets counted in a real Redis, and what holds while it is away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from pydantic import SecretStr

from assistant.config import GatewaySettings, Settings
from assistant.conversation.events import VisitorId
from assistant.conversation.relay import relaying
from assistant.conversation.visitors import Visitor
from assistant.errors import ConfigError
from assistant.gateway import places
from assistant.gateway.auth import Ticket, Tickets
from assistant.gateway.budgets import Budget
from assistant.gateway.limits import Allowance, Counting, Limits
from assistant.gateway.protocol import Refusal
from assistant.gateway.shared import TIMEOUT_S, Shared, SharedDown, open_shared
from tests.gateway.conftest import StartRig
from tests.gateway.redis_server import RedisServer, redis_server
from tests.gateway.rig import Clock, VisitorClient

pytestmark = pytest.mark.reliability

SHOP = "https://shop.example"
TICKET = Ticket(Visitor(VisitorId("v_1"), "default"), SHOP, "en")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def two(server: RedisServer) -> AsyncIterator[tuple[Shared, Shared]]:
    """What two processes have of the same Redis."""
    processes = open_shared(server.url), open_shared(server.url)
    assert processes[0] is not None
    assert processes[1] is not None
    yield processes[0], processes[1]
    for process in processes:
        await process.close()


async def test_an_allowance_is_one_for_all_processes(two: tuple[Shared, Shared]) -> None:
    allowances = [Allowance(RateLimitItemPerMinute(6), Counting(shared=shared)) for shared in two]
    granted = [await allowance.take("a") for _ in range(4) for allowance in allowances]
    assert granted[:6] == [0.0] * 6
    assert granted[6:] == [pytest.approx(60, abs=2)] * 2
    assert await allowances[1].take("b") == 0.0


async def test_limits_are_the_same_in_redis_and_in_process(two: tuple[Shared, Shared]) -> None:
    """Bursts in the middle of three windows of 2 s: all of 5, then what half of the 5 leaves, then half of those 3."""
    item = RateLimitItemPerSecond(5, multiples=2)
    here, there = Allowance(item, Counting()), Allowance(item, Counting(shared=two[0]))
    await there.take("so that it is connected and has its script")
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    for after_s, num_granted in ((0, 5), (3, 3), (5, 4)):
        await asyncio.sleep(began_at + after_s - loop.time())
        for allowance in (here, there):
            waits = [await allowance.take("a") for _ in range(10)]
            assert waits == [0.0] * num_granted + [pytest.approx(waits[-1], abs=0.1)] * (10 - num_granted)
        assert await here.take("a") == pytest.approx(await there.take("a"), abs=0.2)


async def test_a_wait_that_redis_gives_is_enough(two: tuple[Shared, Shared]) -> None:
    allowance = Allowance(RateLimitItemPerSecond(3), Counting(shared=two[0]))
    for _ in range(3):
        while (wait_s := await allowance.take("a")) == 0.0:
            pass
        await asyncio.sleep(wait_s + 0.01)
        assert await allowance.take("a") == 0.0


async def test_a_token_of_one_process_opens_a_socket_of_another_once(two: tuple[Shared, Shared]) -> None:
    first, second = (Tickets(ttl_s=30, shared=shared) for shared in two)
    token = await first.issue(TICKET)
    assert await second.redeem(token, origin=SHOP) == TICKET
    for tickets in (first, second):
        with pytest.raises(Refusal, match="unknown, used or expired"):
            await tickets.redeem(token, origin=SHOP)
    stolen = await first.issue(TICKET)
    with pytest.raises(Refusal, match="another origin"):
        await second.redeem(stolen, origin="https://evil.example")
    with pytest.raises(Refusal, match="unknown, used or expired"):
        await first.redeem(stolen, origin=SHOP)


async def test_a_token_is_had_once_though_all_processes_ask_at_once(two: tuple[Shared, Shared]) -> None:
    tickets = [Tickets(ttl_s=30, shared=shared) for shared in two] * 10
    token = await tickets[0].issue(TICKET)
    answers = await asyncio.gather(*(t.redeem(token, origin=SHOP) for t in tickets), return_exceptions=True)
    assert sum(answer == TICKET for answer in answers) == 1


async def test_redis_holds_no_token_and_forgets_in_time(two: tuple[Shared, Shared]) -> None:
    tickets = Tickets(ttl_s=0.2, shared=two[0])
    token = await tickets.issue(TICKET)
    keys = await two[0].redis.keys("*")
    kept = [*keys, *[await two[0].redis.get(key) for key in keys]]
    assert len(keys) == 1
    assert token.encode() not in b" ".join(kept)
    await asyncio.sleep(0.25)
    assert await two[0].redis.keys("*") == []
    with pytest.raises(Refusal):
        await tickets.redeem(token, origin=SHOP)


async def test_a_days_budget_is_one_for_all_processes(two: tuple[Shared, Shared]) -> None:
    settings = Settings(gateway={"tokens_per_day": 500}, generation={"max_new_tokens": 100})
    first, second = (Budget(settings, shared=shared) for shared in two)
    await first.spend("v", "x" * 200)
    await second.give_back("v", "x" * 200)
    await first.spend("v", "x" * 200)
    await second.spend("v", "x" * 100)
    for budget in (first, second):
        with pytest.raises(Refusal, match="spent") as refused:
            await budget.spend("v", "x")
        assert refused.value.retry_after_ms == pytest.approx(86_400_000, rel=0.01)


async def test_two_servers_let_a_visitor_in_with_each_others_token(server: RedisServer, start: StartRig) -> None:
    one, other = await start(redis_url=server.url), await start(redis_url=server.url)
    visitor = await one.visitor()
    there = VisitorClient(other, None)
    socket = await there.upgrade()
    await socket.send("hello", token=await visitor.token())
    await socket.until("resumed")


async def test_a_socket_of_one_process_is_sent_what_another_has_committed(server: RedisServer, start: StartRig) -> None:
    one, other = [await start(redis_url=server.url) for _ in range(2)]
    async with relaying(one.parts.bus, server.url), relaying(other.parts.bus, server.url):
        visitor = await one.visitor()
        phone = await visitor.join()
        await phone.say("asked on the phone", "a")
        await phone.until_answered()
        visitor.rig = other
        laptop = await visitor.join(conversation_id=phone.conversation_id, epoch=1)
        await phone.say("and once more", "b")
        assert (await laptop.until("message", author="customer", client_msg_id="b"))["data"]["text"] == "and once more"
        await laptop.until_answered()
        await phone.until_answered()
        assert laptop.seqs == phone.seqs == [1, 2, 3, 4]


async def test_sockets_of_an_address_are_counted_in_all_processes(server: RedisServer, start: StartRig) -> None:
    one, other = [await start(redis_url=server.url, sockets_per_address=2) for _ in range(2)]
    here, there = VisitorClient(one, None), VisitorClient(other, None)
    open_ones = [await here.upgrade(), await there.upgrade()]
    for client in (here, there):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.upgrade()
        assert refused.value.status == 429
    await open_ones[0].close()
    async with asyncio.timeout(5):
        while len(open_ones) < 3:
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                open_ones.append(await there.upgrade())
            await asyncio.sleep(0.01)
    for left in open_ones:
        await left.close()


async def test_the_oldest_of_too_many_sockets_is_replaced_from_another_process(
    server: RedisServer, start: StartRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "RENEW_S", 0.1)
    one, other = [await start(redis_url=server.url, sockets_per_visitor=2) for _ in range(2)]
    visitor = await one.visitor()
    first, second = await visitor.join(), await visitor.join()
    visitor.rig = other
    third = await visitor.join()
    assert await first.closed() == 4409
    for number, left in enumerate((second, third)):
        await left.say("still open", f"m{number}")
        await left.until_answered()


async def test_a_dead_processs_places_come_back_and_a_redis_that_forgot_replaces_nobody(
    two: tuple[Shared, Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LEASE_S", 0.2)
    settings = GatewaySettings(sockets_per_address=1, sockets_per_visitor=1)
    dead, alive = (places.Places(settings, shared=shared) for shared in two)
    replaced: list[str] = []
    died = dead.admit("1.2.3.4")
    await died.__aenter__()
    with pytest.raises(Refusal, match="1 sockets"):
        async with alive.admit("1.2.3.4"):
            pass
    await asyncio.sleep(0.25)
    async with alive.admit("1.2.3.4"), alive.joined("v", lambda: replaced.append("v")):
        await two[0].redis.flushall()
        await alive.renew()
        assert replaced == []
        with pytest.raises(Refusal, match="1 sockets"):
            async with dead.admit("1.2.3.4"):
                pass
        async with dead.joined("v", lambda: replaced.append("newer")):
            await alive.renew()
            assert replaced == ["v"]
    await died.__aexit__(None, None, None)
    assert await two[0].redis.zcard("assistant:sockets:address:1.2.3.4") == 0


async def test_without_redis_each_process_counts_for_itself_and_says_so_once(
    server: RedisServer, two: tuple[Shared, Shared], capfd: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    shared = Shared(two[0].redis, clock=clock)
    limits = Limits(GatewaySettings(handshakes_per_minute=2), shared=shared)
    tickets = Tickets(ttl_s=30, shared=shared)
    before = await tickets.issue(TICKET)
    await server.stop()
    for _ in range(2):
        await limits.handshake("1.2.3.4")
    with pytest.raises(Refusal, match="too many handshakes"):
        await limits.handshake("1.2.3.4")
    token = await tickets.issue(TICKET)
    assert await tickets.redeem(token, origin=SHOP) == TICKET
    with pytest.raises(Refusal):
        await tickets.redeem(before, origin=SHOP)
    assert capfd.readouterr().out.count("redis_down") == 1
    await server.start()
    with pytest.raises(SharedDown):
        await shared.ask(shared.redis.ping)
    clock.now += 5
    await limits.handshake("1.2.3.4")
    assert await shared.redis.keys("assistant:*")


async def test_a_redis_that_hangs_costs_its_timeout_once(two: tuple[Shared, Shared]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        shared = open_shared(SecretStr(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        assert shared is not None
        limits = Limits(GatewaySettings(), shared=shared)
        async with asyncio.timeout(2 * TIMEOUT_S):
            for _ in range(10):
                await limits.handshake("1.2.3.4")
        await shared.close()


@pytest.mark.parametrize("url", ["http://secret-pass@host", "redis://:secret-pass@host:notaport/0", "nonsense"])
def test_a_wrong_address_stops_the_start_and_its_password_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="redis_url") as refused:
        open_shared(SecretStr(url))
    assert "secret-pass" not in str(refused.value)
    assert "secret-pass" not in repr(GatewaySettings(redis_url=url))  # type: ignore[arg-type]
