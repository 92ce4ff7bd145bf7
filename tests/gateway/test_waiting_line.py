"""Where a waiting customer stands, and who is writing: told to whom it concerns, and to nobody else."""

from __future__ import annotations

import pytest

from assistant.conversation.bus import Bus
from assistant.conversation.events import ConversationId
from assistant.dialogue.line import MAX_WAITING, WaitingLine
from assistant.dialogue.typing import MIN_APART_S, TYPING_TTL_S, Typing
from tests.gateway.agents_rig import customer, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Clock, Rig, SocketClient, public_events

pytestmark = pytest.mark.unit


@pytest.fixture
async def rig(start: StartRig) -> Rig:
    return await start(extra={"agents": {"refresh_s": 0.05}})


async def waiting(rig: Rig) -> SocketClient:
    """A customer who waits for a person."""
    socket = await customer(rig)
    await socket.send("handoff")
    await socket.until("queue")
    return socket


def places(socket: SocketClient) -> list[int]:
    return [frame["data"]["queue_position"] for frame in socket.frames if frame["type"] == "queue"]


async def test_who_waits_is_told_their_place_and_each_change_of_it(rig: Rig) -> None:
    first, second, third = [await waiting(rig) for _ in range(3)]
    assert [places(socket) for socket in (first, second, third)] == [[1], [2], [3]]
    mia = await (await hire(rig)).join()
    await mia.did("claim", first.conversation_id)
    await second.until("queue", queue_position=1)
    await third.until("queue", queue_position=2)
    await mia.did("claim", second.conversation_id)
    await third.until("queue", queue_position=1)
    assert (places(first), places(second), places(third)) == ([1], [2, 1], [3, 2, 1])


async def test_the_log_has_the_place_that_a_customer_came_in_at_and_no_other(rig: Rig) -> None:
    await waiting(rig)
    second = await waiting(rig)
    await second.send("handoff")
    await second.until_answered()
    states = [event.payload for event in await public_events(rig, second.conversation_id) if event.kind == "state"]
    assert [(state.mode, state.queue_position) for state in states] == [("waiting", 2)]  # type: ignore[union-attr]


async def test_asking_again_does_not_cost_the_place(rig: Rig) -> None:
    first = await waiting(rig)
    second = await waiting(rig)
    await first.send("handoff")
    await first.until_answered()
    assert rig.parts.staff is not None
    places_now = [conversation_id for _, conversation_id in await rig.parts.staff.overview.waiting()]
    assert places_now == [first.conversation_id, second.conversation_id]


async def test_who_comes_back_is_told_their_place_at_once(rig: Rig) -> None:
    await waiting(rig)
    visitor = await rig.visitor()
    socket = await visitor.join()
    await socket.say("Hello")
    await socket.until_answered()
    await socket.send("handoff")
    await socket.until("queue")
    await socket.close()
    again = await visitor.join(conversation_id=socket.conversation_id, epoch=1)
    assert (await again.until("queue"))["data"]["queue_position"] == 2


def test_each_tenant_has_a_line_of_its_own_and_a_very_long_one_has_no_end() -> None:
    line = WaitingLine(Bus())
    assert line.next_place("a") is None, "nobody keeps it yet"
    line.keep([("a", ConversationId("c_1")), ("b", ConversationId("c_2")), ("a", ConversationId("c_3"))])
    assert [line.place(ConversationId(f"c_{number}")) for number in (1, 2, 3, 4)] == [1, 1, 2, None]
    assert (line.next_place("a"), line.next_place("b"), line.next_place("c")) == (3, 2, 1)
    line.keep([("a", ConversationId(f"c_{number}")) for number in range(MAX_WAITING + 5)])
    assert line.place(ConversationId(f"c_{MAX_WAITING}")) is None
    assert line.next_place("a") is None


# -- who is writing


async def test_the_agents_who_watch_see_the_customer_writing_and_nobody_else_does(rig: Rig) -> None:
    buyer, other = await customer(rig), await customer(rig)
    mia, wei = await (await hire(rig, "Mia")).join(), await (await hire(rig, "Wei")).join()
    await mia.watch(buyer.conversation_id)
    await wei.watch(other.conversation_id)
    before = (await rig.parts.log.head(ConversationId(buyer.conversation_id))).last_position
    await buyer.send("typing")
    typing = await mia.until("typing")
    assert typing["conversation_id"] == buyer.conversation_id
    assert typing["data"] == {"ttl_ms": TYPING_TTL_S * 1000}
    assert (await rig.parts.log.head(ConversationId(buyer.conversation_id))).last_position == before, "it was stored"
    for socket in (wei, buyer, other):
        await socket.send("ping")
        await socket.until("pong")
        assert not any(frame["type"] == "typing" for frame in socket.frames)


async def test_a_message_ends_the_writing(rig: Rig) -> None:
    buyer = await customer(rig)
    await buyer.send("typing")
    await buyer.say("Here it is.", "b")
    await buyer.until("ack")
    assert rig.parts.manager.customer_typing.last(ConversationId(buyer.conversation_id)) is None


def test_nobody_is_woken_more_often_than_once_a_second() -> None:
    bus, clock, place = Bus(), Clock(), ConversationId("c_1")
    typing = Typing(bus, clock=clock)
    with bus.watch(place) as woken:
        for passed, wakes in ((0.0, True), (MIN_APART_S / 2, False), (MIN_APART_S / 2, True)):
            clock.now += passed
            typing.tell(place)
            assert woken.is_set() is wakes
            woken.clear()
