"""Bounds: rates, sizes, numbers of sockets."""

from __future__ import annotations

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.gateway.limits import BAD_FRAMES_PER_MINUTE, Allowance, client_address
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Clock, Rig, SocketClient, VisitorClient

pytestmark = pytest.mark.unit


def test_an_allowance_is_had_at_once_and_comes_back_evenly() -> None:
    clock = Clock()
    allowance = Allowance(6, clock=clock)
    assert [allowance.take("a") for _ in range(6)] == [0.0] * 6
    assert allowance.take("a") == pytest.approx(10)
    assert allowance.take("b") == 0.0
    clock.now += 10
    assert allowance.take("a") == 0.0
    assert allowance.take("a") == pytest.approx(10)
    clock.now += 60
    assert [allowance.take("a") for _ in range(6)] == [0.0] * 6


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_no_minute_grants_more_than_twice_the_rate(pauses: list[float], per_minute: int) -> None:
    clock = Clock()
    allowance = Allowance(per_minute, clock=clock)
    granted = []
    for pause in pauses:
        clock.now += pause
        if allowance.take("a") == 0.0:
            granted.append(clock.now)
    for moment in granted:
        assert sum(moment <= other <= moment + 60 for other in granted) <= 2 * per_minute


def test_an_allowance_remembers_so_many_keys_and_no_more() -> None:
    allowance = Allowance(1, clock=Clock(), max_keys=10)
    for number in range(1_000):
        allowance.take(str(number))
    assert len(allowance._due_at) == 10
    assert allowance.take("999") > 0
    assert allowance.take("0") == 0.0


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "address"),
    [
        ("10.0.0.1", "1.2.3.4", 0, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", 1, "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", 1, "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", 2, "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4", 2, "10.0.0.1"),
        ("10.0.0.1", "", 1, "10.0.0.1"),
        ("10.0.0.1", "forged", 1, "10.0.0.1"),
        ("::ffff:1.2.3.4", "", 0, "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", 0, "2001:db8:1:2::/64"),
        (None, "", 0, "unknown"),
    ],
)
def test_the_client_is_whom_the_outermost_trusted_proxy_saw(
    remote: str | None, forwarded: str, proxies: int, address: str
) -> None:
    assert client_address(remote, forwarded, proxies) == address


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
    assert error["retry_after_ms"] == 30_000
    rig.clock.now += 30
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
        assert (response.status, response.headers["Retry-After"]) == (429, "20")
        assert (await response.json())["error"]["code"] == "rate_limited"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.upgrade()
    assert refused.value.status == 429


async def test_addresses_behind_a_trusted_proxy_are_counted_apart(start: StartRig) -> None:
    rig = await start(handshakes_per_minute=1, trusted_proxies=1)
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
    await visitor.join()


async def test_a_closed_visitor_leaves_nothing_behind(rig: Rig, visitor: VisitorClient) -> None:
    socket = await visitor.join()
    await socket.say("see you")
    await socket.until_answered()
    await socket.close()
    await visitor.upgrade()  # the close is through once another handshake is
    sockets, bus = rig.gateway.sockets, rig.parts.bus
    assert len(sockets._open) == 1
    assert (dict(sockets._by_visitor), bus._watched) == ({}, {})
