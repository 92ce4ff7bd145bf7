"""Bounds: rates, sizes, numbers of sockets."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute

from assistant.config import GatewaySettings, Settings
from assistant.gateway.addresses import client_address, networks_of
from assistant.gateway.budgets import Budget
from assistant.gateway.counters import LocalCounters
from assistant.gateway.limits import BAD_FRAMES_PER_MINUTE, Allowance, Counting, Limits
from assistant.gateway.protocol import Refusal
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Clock, Rig, SocketClient, VisitorClient

pytestmark = pytest.mark.unit


def allowance(per_minute: int, clock: Clock) -> Allowance:
    return Allowance(RateLimitItemPerMinute(per_minute), Counting(clock=clock))


async def test_an_allowance_is_had_at_once_and_comes_back_evenly_after_its_minute() -> None:
    clock = Clock()
    six = allowance(6, clock)
    assert [await six.take("a") for _ in range(6)] == [0.0] * 6
    assert await six.take("a") == pytest.approx(60)
    assert await six.take("b") == 0.0
    clock.now += 65
    assert await six.take("a") == 0.0
    assert await six.take("a") == pytest.approx(5)
    clock.now += 5.001
    assert await six.take("a") == 0.0
    assert await six.take("a") == pytest.approx(10, abs=0.01)
    clock.now += 120
    assert [await six.take("a") for _ in range(6)] == [0.0] * 6


@given(st.lists(st.floats(0, 90), max_size=60), st.integers(1, 20))
def test_what_is_refused_is_granted_after_the_wait_it_was_told(pauses: list[float], per_minute: int) -> None:
    async def run() -> None:
        clock = Clock()
        some = allowance(per_minute, clock)
        for pause in pauses:
            clock.now += pause
            if wait_s := await some.take("a"):
                assert 0 < wait_s <= 120
                clock.now += wait_s + 0.001
                assert await some.take("a") == 0.0

    asyncio.run(run())


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_no_minute_grants_more_than_twice_the_rate(pauses: list[float], per_minute: int) -> None:
    async def run() -> list[float]:
        clock, granted = Clock(), []
        some = allowance(per_minute, clock)
        for pause in pauses:
            clock.now += pause
            if await some.take("a") == 0.0:
                granted.append(clock.now)
        return granted

    granted = asyncio.run(run())
    for moment in granted:
        assert sum(moment <= other <= moment + 60 for other in granted) <= 2 * per_minute


async def test_counters_remember_so_many_keys_and_no_more() -> None:
    counters = LocalCounters(clock=Clock(), max_keys=10)
    for number in range(1_000):
        assert await counters.acquire_sliding_window_entry(str(number), 1, 60)
    assert await counters.reset() == 10
    assert await counters.acquire_sliding_window_entry("999", 1, 60)
    assert not await counters.acquire_sliding_window_entry("999", 1, 60)


async def test_a_days_budget_counts_characters_and_the_most_an_answer_may_have(start: StartRig) -> None:
    rig = await start(tokens_per_day=500, extra={"generation": {"max_new_tokens": 100}})
    visitor = await rig.visitor()
    socket = await visitor.join()
    await socket.say("x" * 300, "a")
    await socket.until_answered()
    await socket.say("one too many", "b")
    error = (await socket.until("error"))["data"]
    assert (error["code"], error["client_msg_id"]) == ("rate_limited", "b")
    assert error["retry_after_ms"] == pytest.approx(86_400_000, rel=0.01)
    assert "500 characters and tokens" in error["message"]
    rig.clock.now += 86_401
    other_day = await visitor.join()
    await other_day.say("one too many", "b")
    await other_day.until_answered()


async def test_the_visitors_of_one_address_have_a_budget_together() -> None:
    gateway = {"tokens_per_day": 500, "address_multiple": 2}
    budget = Budget(Settings(gateway=gateway, generation={"max_new_tokens": 100}), clock=Clock())
    for visitor in "abcde":
        await budget.spend(visitor, "x" * 100, ["192.0.2.1"])
    with pytest.raises(Refusal, match="1000 characters and tokens a day for this address"):
        await budget.spend("f", "x", ["192.0.2.1"])
    await budget.spend("f", "x" * 400, ["192.0.2.2"])
    await budget.give_back("a", "x" * 100, ["192.0.2.1"])
    await budget.spend("a", "x" * 100, ["192.0.2.1"])


async def test_a_wide_network_has_a_few_budgets_and_no_more() -> None:
    gateway = {"tokens_per_day": 500, "address_multiple": 1}
    budget = Budget(Settings(gateway=gateway, generation={"max_new_tokens": 500}), clock=Clock())
    for number in range(4):
        await budget.spend(f"v{number}", "", networks_of(f"2001:db8:0:{number:x}::/64"))
    with pytest.raises(Refusal, match="2000 characters"):
        await budget.spend("v4", "", networks_of("2001:db8:0:4::/64"))


async def test_the_budget_of_a_message_that_was_not_taken_comes_back() -> None:
    clock = Clock()
    budget = Budget(Settings(gateway={"tokens_per_day": 500}, generation={"max_new_tokens": 100}), clock=clock)
    await budget.spend("v", "x" * 300)
    await budget.give_back("v", "x" * 300)
    await budget.spend("v", "x" * 400)
    with pytest.raises(Refusal, match="spent"):
        await budget.spend("v", "")


PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48"]


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "address"),
    [
        ("10.0.0.1", "1.2.3.4", [], "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", PROXIES, "1.2.3.4"),
        ("9.9.9.9", "1.2.3.4", PROXIES, "9.9.9.9"),  # whoever is no proxy of ours may write what they like
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", PROXIES, "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", PROXIES, "1.2.3.4"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", PROXIES, "10.0.0.3"),
        ("10.0.0.1", "", PROXIES, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, forged", PROXIES, "10.0.0.1"),
        ("::ffff:10.0.0.1", "1.2.3.4", PROXIES, "1.2.3.4"),
        ("2001:db8:ffff::1", "1.2.3.4", PROXIES, "1.2.3.4"),
        ("10.0.0.1", "fe80::1%eth0", PROXIES, "fe80::/64"),
        ("::ffff:1.2.3.4", "", [], "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", [], "2001:db8:1:2::/64"),
        (None, "1.2.3.4", PROXIES, "unknown"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy_of_ours(
    remote: str | None, forwarded: str, proxies: list[str], address: str
) -> None:
    networks = GatewaySettings(trusted_proxies=proxies).trusted_proxies
    assert client_address(remote, forwarded, networks) == address


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", ("192.0.2.1",)),
        ("unknown", ("unknown",)),
        ("2001:db8:1:ab2::/64", ("2001:db8:1:ab2::/64", "2001:db8:1:a00::/56", "2001:db8:1::/48")),
    ],
)
def test_an_ipv6_address_lies_in_wider_networks(address: str, networks: tuple[str, ...]) -> None:
    assert networks_of(address) == networks


async def test_whoever_has_many_ipv6_networks_gets_four_and_then_sixteen_times_as_much() -> None:
    limits = Limits(GatewaySettings(handshakes_per_minute=2), clock=Clock())

    async def granted(networks: list[str]) -> int:
        return sum([await _is_granted(limits, network) for network in networks for _ in range(3)])

    assert await granted(["2001:db8::/64"]) == 2
    assert await granted([f"2001:db8:0:{number:x}::/64" for number in range(1, 20)]) == 6
    assert await granted([f"2001:db8:0:{number:x}00::/64" for number in range(1, 40)]) == 24
    assert await granted(["2001:db8:1::/64", "192.0.2.1"]) == 4


async def _is_granted(limits: Limits, address: str) -> bool:
    try:
        await limits.handshake(address)
    except Refusal:
        return False
    return True


async def test_fresh_visitors_of_one_address_have_a_few_visitors_messages_together(start: StartRig) -> None:
    rig = await start(messages_per_minute=2, address_multiple=2, trusted_proxies=["127.0.0.1"])
    assert [await _status_of_first_message(rig, "192.0.2.1") for _ in range(6)] == [202] * 4 + [429] * 2
    assert await _status_of_first_message(rig, "192.0.2.2") == 202


async def test_one_address_leaves_turns_to_the_others(start: StartRig) -> None:
    rig = await start(trusted_proxies=["127.0.0.1"], drain_s=0.05)
    rig.responder.holds = True
    statuses = [await _status_of_first_message(rig, "192.0.2.1") for _ in range(20)]
    assert statuses == [202] * 16 + [429] * 4
    assert await _status_of_first_message(rig, "192.0.2.2") == 202


async def _status_of_first_message(rig: Rig, address: str) -> int:
    """Of a visitor who was never here before."""
    visitor, headers = await rig.visitor(), {"X-Forwarded-For": address}
    headers["Authorization"] = f"Bearer {visitor.secret}"
    body = {"client_msg_id": "m", "text": "How long do I have?"}
    async with rig.http.post(rig.url("/v1/conversations"), json=body, headers=headers) as response:
        return response.status


async def test_what_a_socket_says_counts_for_its_address_too(start: StartRig) -> None:
    rig = await start(messages_per_minute=1, address_multiple=2)
    for number in range(3):
        visitor = await rig.visitor()
        socket = await visitor.join()
        await socket.say("hello", f"m{number}")
        frame = await socket.until("ack" if number < 2 else "error")
    assert "from this address" in frame["data"]["message"]


async def test_too_many_messages_in_a_minute_are_refused_with_the_time_to_wait(start: StartRig) -> None:
    rig = await start(messages_per_minute=2)
    visitor = await rig.visitor()
    socket, other = await visitor.join(), await visitor.join()
    for number, tab in enumerate((socket, other)):
        await tab.say("as fast as I can", f"m{number}")
        await tab.until_answered()
    await socket.say("one too many", "m2")
    error = (await socket.next("error"))["data"]
    assert (error["code"], error["client_msg_id"]) == ("rate_limited", "m2")
    assert error["retry_after_ms"] == 60_000
    rig.clock.now += 61
    await socket.say("one too many", "m2")
    await socket.until_answered()


@pytest.mark.parametrize(
    "frame", [{"type": "feedback", "message_id": "m", "rating": "up"}, {"type": "handoff", "reason": "x"}]
)
async def test_whatever_is_written_counts_as_a_message(start: StartRig, frame: dict[str, str]) -> None:
    rig = await start(messages_per_minute=1)
    visitor = await rig.visitor()
    socket = await visitor.join()
    await socket.websocket.send_json(frame)
    await socket.websocket.send_json(frame)
    assert (await socket.until("error", code="rate_limited"))["data"]["retry_after_ms"] == 60_000


async def test_who_goes_on_after_rate_limited_is_closed_with_4429(start: StartRig) -> None:
    rig = await start(messages_per_minute=1)
    visitor = await rig.visitor()
    socket = await visitor.join()
    for number in range(62):
        await socket.say("again and again", f"m{number}")
    assert await socket.closed() == 4429
    assert sum(frame["type"] == "error" for frame in socket.frames) == 61


async def test_who_sends_only_rubbish_is_closed_with_4400(socket: SocketClient) -> None:
    for _ in range(BAD_FRAMES_PER_MINUTE + 1):
        await socket.websocket.send_str("rubbish")
    assert await socket.closed() == 4400
    assert socket.frames[-1]["data"]["code"] == "not_json"


async def test_a_flood_of_good_frames_is_closed_with_4429(socket: SocketClient) -> None:
    for _ in range(601):
        await socket.send("ping")
    assert await socket.closed() == 4429
    assert socket.kinds().count("pong") == 600


async def test_a_frame_over_the_limit_is_4413(start: StartRig) -> None:
    rig = await start(max_frame_bytes=2_000)
    visitor = await rig.visitor()
    socket = await visitor.join()
    await socket.say("x" * 3_000)
    error = (await socket.next("error"))["data"]
    assert error["code"] == "too_large"
    assert "the limit is 2000" in error["message"]
    assert await socket.closed() == 4413


async def test_an_enormous_frame_is_1009_and_never_read(start: StartRig) -> None:
    rig = await start(max_frame_bytes=2_000)
    visitor = await rig.visitor()
    socket = await visitor.join()
    await socket.say("x" * 1_000_000)
    assert await socket.closed() == 1009


async def test_too_many_handshakes_in_a_minute_are_429(start: StartRig) -> None:
    rig = await start(handshakes_per_minute=3)
    visitor = await rig.visitor()
    await visitor.connect()
    async with rig.http.post(rig.url("/v1/visitor-tokens"), json={}) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "60")
        assert (await response.json())["error"]["code"] == "rate_limited"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.upgrade()
    assert refused.value.status == 429


async def test_addresses_behind_a_trusted_proxy_are_counted_apart(start: StartRig) -> None:
    rig = await start(handshakes_per_minute=1, trusted_proxies=["127.0.0.1"])
    statuses = []
    for address in ("1.2.3.4", "1.2.3.4", "6.6.6.6, 5.6.7.8"):
        headers = {"X-Forwarded-For": address}
        async with rig.http.post(rig.url("/v1/visitor-tokens"), json={}, headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [200, 429, 200]


async def test_the_oldest_of_too_many_sockets_of_a_visitor_is_replaced(start: StartRig) -> None:
    rig = await start(sockets_per_visitor=2)
    visitor = await rig.visitor()
    first, second, third = [await visitor.join() for _ in range(3)]
    assert await first.closed() == 4409
    for number, socket in enumerate((second, third)):
        await socket.say("still open", f"m{number}")
        await socket.until_answered()


async def test_sockets_of_one_address_are_bounded_and_their_places_come_back(start: StartRig) -> None:
    rig = await start(sockets_per_address=2)
    visitor = await rig.visitor()
    first, _ = await visitor.upgrade(), await visitor.upgrade()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.upgrade()
    assert refused.value.status == 429
    await first.close()
    await (await visitor.join()).close()


async def test_sockets_of_a_wide_network_are_bounded_at_a_multiple(start: StartRig) -> None:
    rig = await start(sockets_per_address=1, trusted_proxies=["127.0.0.1"])
    visitor = await rig.visitor()
    addresses = [f"2001:db8:0:{number:x}::1" for number in range(4)]
    sockets = [await visitor.upgrade(**{"X-Forwarded-For": address}) for address in addresses]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.upgrade(**{"X-Forwarded-For": "2001:db8:0:ff::1"})
    assert refused.value.status == 429
    await sockets[0].close()
    await (await visitor.upgrade(**{"X-Forwarded-For": "2001:db8:0:ff::1"})).close()


async def test_a_closed_visitor_leaves_nothing_behind(rig: Rig, visitor: VisitorClient) -> None:
    socket = await visitor.join()
    await socket.say("see you")
    await socket.until_answered()
    await socket.close()
    another = await visitor.upgrade()  # the close is through once another handshake is
    sockets, bus = rig.gateway.sockets, rig.parts.bus
    assert (len(sockets._open), sockets._num_by_network.total()) == (1, 1)
    assert (dict(sockets._by_visitor), bus._watched) == ({}, {})
    await another.close()
