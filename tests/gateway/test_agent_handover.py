"""Conversations handed over and back, played whole over customers' and agents' sockets on the real application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.agents_rig import customer, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, public_events

pytestmark = pytest.mark.unit


@pytest.fixture
async def rig(start: StartRig) -> Rig:
    return await start(extra={"agents": {"refresh_s": 0.05}})


ENGLISH = ("I want to talk to a person", "Hello, this is Mia. What broke?", "The left handle.", "A new one is coming.")
CHINESE = ("我要转人工客服", "您好，我是米娅，哪里坏了？", "左边的把手。", "我们给您寄一个新的。")


@pytest.mark.parametrize("said", [ENGLISH, CHINESE], ids=["en", "zh"])
async def test_a_hand_over_played_whole(rig: Rig, said: tuple[str, str, str, str]) -> None:
    wish, greeting, answer, promise = said
    buyer = await customer(rig)
    place = buyer.conversation_id
    mia = await (await hire(rig)).join()

    await buyer.send("handoff", reason=wish)
    assert (await buyer.until("state"))["data"]["mode"] == "waiting"
    await mia.until_listed(place, mode="waiting")
    await mia.watch(place)
    await mia.did("claim", place)
    state = (await buyer.until("state", mode="human"))["data"]
    assert state["assignee"] == "Mia"
    assert "assignee_id" not in state

    await mia.did("reply", place, client_msg_id="r1", text=greeting)
    told = (await buyer.until("message", author="agent"))["data"]
    assert told["text"] == greeting
    assert "agent_id" not in told
    questions = len(rig.responder.questions)
    await buyer.say(answer, "b2")
    await buyer.until("ack")
    seen = (await mia.until("message", text=answer))["data"]
    assert seen["author"] == "customer"
    await mia.did("reply", place, client_msg_id="r2", text=promise)
    await buyer.until("message", text=promise)
    assert len(rig.responder.questions) == questions, "the assistant answered while a person had the conversation"

    await mia.did("release", place, note="sent a new handle")
    assert (await buyer.until("state"))["data"]["mode"] == "bot"
    await buyer.say("thank you", "b3")
    assert (await buyer.until_answered())["data"]["decision"] == "composed"

    everything = await rig.parts.log.events(place)
    assert [event.position for event in everything] == list(range(1, len(everything) + 1))
    assert mia.positions(place) == list(range(1, mia.positions(place)[-1] + 1))
    assert all(event.kind != "note" for event in await public_events(rig, place))
    assert not any("sent a new handle" in str(frame) for frame in buyer.frames)
    assert buyer.seqs == list(range(1, len(buyer.seqs) + 1))


async def test_of_two_who_claim_at_once_one_wins_and_the_other_is_told_who(rig: Rig) -> None:
    place = (await customer(rig)).conversation_id
    agents = {name: await hire(rig, name) for name in ("Mia", "Wei")}
    sockets = [await agent.join() for agent in agents.values()]
    answers = await asyncio.gather(*(socket.ask("claim", place) for socket in sockets))
    assert sorted(answer["type"] for answer in answers) == ["ack", "error"]
    winner, loser = sorted(zip(agents, answers, strict=True), key=lambda pair: pair[1]["type"])
    assert loser[1]["data"]["code"] == "taken"
    assert loser[1]["data"]["holder"] == {"agent_id": agents[winner[0]].agent_id, "name": winner[0]}
    claims = [event for event in await rig.parts.log.events(place) if event.kind == "state"]
    assert len(claims) == 1


async def test_claiming_again_changes_nothing(rig: Rig) -> None:
    place = (await customer(rig)).conversation_id
    mia = await (await hire(rig)).join()
    first = await mia.did("claim", place)
    assert await mia.did("claim", place) == first


async def test_claiming_cuts_the_running_answer_off(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    rig.responder.holds = True
    await buyer.say("And shoes?", "b2")
    await buyer.until("delta")
    await mia.did("claim", buyer.conversation_id)
    cut = (await buyer.until_answered())["data"]
    assert (cut["finish_reason"], cut["text"]) == ("interrupted", "You have 30 days.")
    rig.responder.holds = False
    await mia.did("release", buyer.conversation_id)
    await buyer.say("And hats?", "b3")
    await buyer.until_answered()
    assert rig.responder.questions[-2:] == ["And shoes?", "And hats?"], "what was cut off is not answered again"


async def test_an_answer_nobody_has_seen_is_left_to_the_person_and_given_after_the_release(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    rig.responder.sentences, rig.responder.holds = [""], True
    await buyer.say("And shoes?", "b2")
    await buyer.until("status", phase="writing")
    await mia.did("claim", buyer.conversation_id)
    rig.responder.sentences, rig.responder.holds = ["60 days."], False
    await mia.did("release", buyer.conversation_id)
    final = (await buyer.until_answered())["data"]
    assert (final["text"], final["finish_reason"]) == ("60 days.", "stop")


async def test_what_was_said_to_a_person_who_left_without_a_word_is_answered_by_the_assistant(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    await mia.did("claim", buyer.conversation_id)
    await buyer.say("And shoes?", "b2")
    await buyer.until("ack")
    await mia.did("release", buyer.conversation_id)
    await buyer.until_answered()
    assert rig.responder.questions[-1] == "And shoes?"


async def test_what_a_person_answered_is_not_answered_again(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    await mia.did("claim", buyer.conversation_id)
    await buyer.say("And shoes?", "b2")
    await buyer.until("ack")
    await mia.did("reply", buyer.conversation_id, client_msg_id="r1", text="60 days.")
    await mia.did("release", buyer.conversation_id)
    await rig.parts.manager.resume(buyer.conversation_id)
    assert rig.responder.questions == ["How long can I return an item?"]


async def test_a_closed_conversation_reopens_with_the_customers_next_message(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    await mia.did("claim", buyer.conversation_id)
    await mia.did("close", buyer.conversation_id)
    assert (await buyer.until("state", mode="closed"))["data"]["reason"] == "closed"
    assert (await mia.refused("claim", buyer.conversation_id))["code"] == "conversation_closed"
    await buyer.say("One more thing", "b2")
    reopened = await buyer.until("state")
    assert (reopened["data"]["mode"], reopened["data"]["reason"]) == ("bot", "reopened")
    await buyer.until_answered()


async def test_what_was_open_at_the_closing_is_not_answered_after_the_reopening(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    await mia.did("claim", buyer.conversation_id)
    await buyer.say("Never mind.", "b2")
    await buyer.until("ack")
    await mia.did("close", buyer.conversation_id)
    await buyer.say("One more thing", "b3")
    await buyer.until_answered()
    await rig.parts.manager.resume(buyer.conversation_id)
    assert rig.responder.questions[1:] == ["One more thing"]


async def test_the_wish_for_a_person_changes_nothing_where_one_is_there(rig: Rig) -> None:
    buyer = await customer(rig)
    mia = await (await hire(rig)).join()
    await mia.did("claim", buyer.conversation_id)
    await buyer.send("handoff", reason="a person")
    await buyer.send("ping")
    await buyer.until("pong")
    head = await rig.parts.log.head(buyer.conversation_id)
    assert head.mode == "human"
    await mia.did("reply", buyer.conversation_id, client_msg_id="r1", text="I am here.")


async def test_a_conversation_is_assigned_to_a_colleague_who_then_writes(rig: Rig) -> None:
    place = (await customer(rig)).conversation_id
    mia, wei = await hire(rig, "Mia"), await hire(rig, "Wei")
    here, there = await mia.join(), await wei.join()
    await here.did("claim", place)
    await here.did("assign", place, agent_id=wei.agent_id)
    refused = await here.refused("reply", place, client_msg_id="r1", text="And...")
    assert (refused["code"], refused["holder"]["name"], refused["client_msg_id"]) == ("taken", "Wei", "r1")
    await there.did("reply", place, client_msg_id="r1", text="I go on.")


async def test_without_the_claim_nothing_is_done(rig: Rig) -> None:
    place = (await customer(rig)).conversation_id
    mia, wei = await hire(rig, "Mia"), await hire(rig, "Wei")
    tried: dict[str, dict[str, Any]] = {
        "reply": {"client_msg_id": "r1", "text": "Hello"},
        "release": {},
        "close": {},
        "assign": {"agent_id": wei.agent_id},
        "typing": {},
        "draft": {},
    }
    here = await mia.join()
    before = await rig.parts.log.head(place)
    for kind, fields in tried.items():
        assert (await here.refused(kind, place, **fields))["code"] == "not_taken", kind
    await (await wei.join()).did("claim", place)
    for kind, fields in tried.items():
        refused = await here.refused(kind, place, **fields)
        assert (refused["code"], refused["holder"]["name"]) == ("taken", "Wei"), kind
    assert (await rig.parts.log.head(place)).last_position == before.last_position + 1


async def test_a_supervisor_takes_over_from_somebody_else_by_force_only(rig: Rig) -> None:
    place = (await customer(rig)).conversation_id
    mia, lead = await (await hire(rig, "Mia")).join(), await (await hire(rig, "Lea", "supervisor")).join()
    await mia.did("claim", place)
    assert (await lead.refused("claim", place))["code"] == "taken"
    await lead.did("claim", place, force=True)
    assert (await mia.refused("reply", place, client_msg_id="r1", text="But..."))["holder"]["name"] == "Lea"


async def test_notes_and_labels_are_for_agents_alone(rig: Rig) -> None:
    buyer = await customer(rig)
    place = buyer.conversation_id
    mia, wei = await (await hire(rig, "Mia")).join(), await (await hire(rig, "Wei")).join()
    await wei.watch(place)
    await mia.did("note", place, client_msg_id="n1", text="An old customer, be kind.")
    await mia.did("label", place, label="  returns   shoes ")
    assert (await wei.until("note"))["data"]["text"] == "An old customer, be kind."
    assert (await wei.until("label"))["data"]["label"] == "returns shoes"
    refused = await mia.refused("label", place, label="x", message_id="m_none")
    assert refused["code"] == "unknown_message"
    await mia.did("claim", place)
    await buyer.until("state", mode="human")
    assert not {"note", "label", "insight", "action"} & set(buyer.kinds())
    assert buyer.seqs == list(range(1, len(buyer.seqs) + 1)), "a visitor could count what is private"
