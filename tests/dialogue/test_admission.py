from __future__ import annotations

import asyncio

import pytest

from assistant.config import DialogueSettings
from assistant.conversation.events import ConversationId
from assistant.dialogue.admission import MAX_WAITING_PER_CONVERSATION, Admission
from assistant.errors import Busy, QueueFull

pytestmark = pytest.mark.unit
C1, C2 = ConversationId("c_1"), ConversationId("c_2")


def admission(**settings: object) -> Admission:
    return Admission(DialogueSettings(**settings))  # type: ignore[arg-type]


def test_one_more_than_the_places_is_refused_until_one_is_given_back() -> None:
    places = admission(max_turns=2)
    first = places.reserve(C1)
    places.reserve(C2)
    with pytest.raises(Busy) as refused:
        places.reserve(C1)
    assert refused.value.queue_position == 3
    assert 1_000 <= refused.value.retry_after_ms <= 30_000
    first.free()
    first.free()
    places.reserve(C1)
    assert places.num_taken == 2


async def test_turns_that_run_and_turns_that_wait_are_told_apart() -> None:
    places = admission(max_running=1)
    taken = [places.reserve(C1), places.reserve(C2)]
    async with places.running():
        assert (places.num_taken, places.num_running, places.num_waiting) == (2, 1, 1)
    for place in taken:
        place.free()
    assert (places.num_taken, places.num_running, places.num_waiting) == (0, 0, 0)


def test_one_conversation_cannot_take_all_places() -> None:
    places = admission(max_turns=100)
    for _ in range(MAX_WAITING_PER_CONVERSATION):
        places.reserve(C1)
    with pytest.raises(Busy):
        places.reserve(C1)
    places.reserve(C2)
    assert places.holds(C2)


def test_one_address_has_its_share_of_the_places_and_leaves_the_rest() -> None:
    places = admission(max_turns=40, address_share=0.25)
    mine = [places.reserve(ConversationId(f"c_{number}"), ["192.0.2.1"]) for number in range(10)]
    with pytest.raises(Busy):
        places.reserve(C1, ["192.0.2.1"])
    places.reserve(C1, ["192.0.2.2"])
    places.reserve(C2)
    mine[0].free()
    places.reserve(C1, ["192.0.2.1"])


def test_an_address_may_have_four_places_however_few_there_are() -> None:
    places = admission(max_turns=8, address_share=0.01)
    for number in range(4):
        places.reserve(ConversationId(f"c_{number}"), ["192.0.2.1"])
    with pytest.raises(Busy):
        places.reserve(C1, ["192.0.2.1"])


def test_a_wider_network_has_twice_the_share_of_an_address() -> None:
    places, wide = admission(max_turns=40), "2001:db8::/48"
    for number in range(20):
        places.reserve(ConversationId(f"c_{number}"), [f"2001:db8:0:{number:x}::/64", wide])
    with pytest.raises(Busy):
        places.reserve(C1, ["2001:db8:0:ff::/64", wide])


def test_what_was_acknowledged_before_gets_a_place_beyond_the_bounds() -> None:
    places = admission(max_turns=1)
    places.reserve(C1)
    places.take(C2)
    assert places.num_taken == 2


def test_after_closing_nobody_gets_a_place() -> None:
    places = admission()
    places.close()
    with pytest.raises(Busy):
        places.reserve(C1)


async def test_those_beyond_max_running_wait_first_come_first_served() -> None:
    places, order = admission(max_running=1), list[str]()
    may_end = asyncio.Event()

    async def run(name: str) -> None:
        async with places.running():
            order.append(name)
            await may_end.wait()

    turns = [asyncio.create_task(run(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert order == ["a"]
    may_end.set()
    await asyncio.gather(*turns)
    assert order == ["a", "b", "c"]


async def test_the_wait_for_a_turn_is_bounded() -> None:
    places = admission(max_running=1, queue_timeout_s=0.01)
    async with places.running():
        with pytest.raises(QueueFull):
            async with places.running():
                pass


async def test_a_longer_turn_makes_for_a_longer_advice() -> None:
    now = [0.0]
    places = Admission(DialogueSettings(max_turns=1, max_running=1), clock=lambda: now[0])
    places.reserve(C1)
    advice = []
    for seconds in (0, 100):
        async with places.running():
            now[0] += seconds
        with pytest.raises(Busy) as refused:
            places.reserve(C2)
        advice.append(refused.value.retry_after_ms)
    assert advice[0] < advice[1]
