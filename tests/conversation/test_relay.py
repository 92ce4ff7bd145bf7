"""Wake-ups between processes, by a real Redis, and what watchers see while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from assistant.conversation import relay
from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId
from assistant.conversation.redis_client import open_redis
from tests.gateway.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.reliability

HERE, ELSEWHERE = ConversationId("c_1"), ConversationId("c_2")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as server:
        yield server


async def woken(flag: asyncio.Event) -> None:
    await asyncio.wait_for(flag.wait(), 10)
    flag.clear()


async def settled(server: RedisServer, num_listeners: int) -> None:
    """Wait until so many processes listen."""
    async with asyncio.timeout(10), server.client() as redis:
        while True:
            listening = dict(await redis.pubsub_numsub(relay.CHANNEL))
            if listening[relay.CHANNEL.encode()] == num_listeners:
                return
            await asyncio.sleep(0.01)


async def test_a_commit_wakes_the_watchers_of_other_processes_and_of_no_other_conversation(server: RedisServer) -> None:
    one, other = Bus(), Bus()
    async with relay.relaying(one, server.url), relay.relaying(other, server.url):
        await settled(server, 2)
        with other.watch(HERE) as flag, other.watch(ELSEWHERE) as quiet, one.watch(HERE) as own:
            await asyncio.sleep(0.05)  # the first look of each
            for each in (flag, quiet, own):
                each.clear()
            before = other.num_commits(HERE), one.num_commits(HERE)
            one.wake(HERE, committed=True)
            await woken(flag)
            assert (other.num_commits(HERE), one.num_commits(HERE)) == (before[0] + 1, before[1] + 1)
            assert not quiet.is_set()
            one.wake(HERE)  # a phase or some text of the running answer: nothing that the log has
            one.wake(ELSEWHERE, committed=True)
            await woken(quiet)
            assert not flag.is_set()


async def test_many_commits_are_all_told_and_each_conversation_once_at_a_time(server: RedisServer) -> None:
    one, other = Bus(), Bus()
    async with relay.relaying(one, server.url), relay.relaying(other, server.url):
        await settled(server, 2)
        with other.watch(HERE) as flag, other.watch(ELSEWHERE) as last:
            await asyncio.sleep(0.05)
            before = other.num_commits(HERE)
            for _ in range(1_000):
                one.wake(HERE, committed=True)
            last.clear()
            one.wake(ELSEWHERE, committed=True)
            await woken(last)
            assert flag.is_set()
            assert other.num_commits(HERE) - before < 10


async def test_without_redis_watchers_look_for_themselves_and_wake_ups_come_back(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(relay, "POLL_S", 0.1)
    one, other = Bus(), Bus()
    async with relay.relaying(one, server.url), relay.relaying(other, server.url):
        await settled(server, 2)
        with other.watch(HERE) as flag:
            await server.stop()
            for _ in range(3):
                flag.clear()
                commits = other.num_commits(HERE)
                await woken(flag)
                assert other.num_commits(HERE) > commits
            assert "wake_ups_down" in capfd.readouterr().out
            await server.start()
            await settled(server, 2)
            await asyncio.sleep(0.2)
            flag.clear()
            one.wake(HERE, committed=True)
            await woken(flag)


async def test_what_could_not_be_told_is_told_later(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RETRY_S", 0.05)
    one, other = Bus(), Bus()
    teller = relay.Relay(one, open_redis(server.url, timeout_s=5))
    tell, failures = teller._tell, [ConnectionResetError(), TimeoutError()]

    async def failing(conversation_ids: list[ConversationId]) -> None:
        if failures:
            raise failures.pop()
        await tell(conversation_ids)

    monkeypatch.setattr(teller, "_tell", failing)
    async with teller.running(), relay.relaying(other, server.url):
        await settled(server, 2)
        with other.watch(HERE) as flag:
            await asyncio.sleep(0.05)
            flag.clear()
            one.wake(HERE, committed=True)
            await woken(flag)
            assert failures == []


async def test_a_redis_that_falls_silent_counts_as_away(monkeypatch: pytest.MonkeyPatch, server: RedisServer) -> None:
    monkeypatch.setattr(relay, "SILENCE_S", 0.1)
    monkeypatch.setattr(relay, "POLL_S", 0.1)
    bus = Bus()
    async with relay.relaying(bus, server.url):
        await settled(server, 1)
        with bus.watch(HERE) as flag:
            await asyncio.sleep(0.5)  # pings are answered
            flag.clear()
            await asyncio.sleep(0.5)
            assert not flag.is_set()
            server.freeze()
            await woken(flag)
            server.thaw()


async def test_without_an_address_nothing_is_passed_on() -> None:
    bus = Bus()
    async with relay.relaying(bus, SecretStr("")):
        bus.wake(HERE, committed=True)
        assert bus.on_commit is None
