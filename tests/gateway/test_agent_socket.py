"""The agents' socket on the real application: its list, its replay, its acknowledgements, its bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from assistant.config import Settings
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, now
from assistant.conversation.tables import conversations
from assistant.dialogue import takeover
from assistant.dialogue.draft import Sink
from assistant.dialogue.takeover import Person
from assistant.dialogue.turn import Question, Reply
from assistant.dialogue.typing import TYPING_TTL_S
from assistant.gateway import agent_feed, agent_writer
from assistant.gateway.protocol import CloseCode
from tests.gateway.agents_rig import AgentClient, AgentSocket, customer, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, public_events, reply, start_rig, stop_rig

pytestmark = pytest.mark.unit


@pytest.fixture
async def rig(start: StartRig) -> Rig:
    return await start(extra={"agents": {"refresh_s": 0.05}})


@pytest.fixture
async def mia(rig: Rig) -> AgentClient:
    return await hire(rig)


async def test_the_welcome_says_who_one_is_what_one_may_and_with_whom(rig: Rig, mia: AgentClient) -> None:
    wei = await hire(rig, "Wei", "supervisor")
    socket = await mia.upgrade()
    await socket.send("hello", token=await mia.token())
    welcome = (await socket.next("welcome"))["data"]
    assert welcome["agent"] == {"agent_id": mia.agent_id, "name": "Mia", "role": "agent"}
    assert "conversation.claim" in welcome["permissions"]
    assert "conversation.override" not in welcome["permissions"]
    assert {colleague["agent_id"] for colleague in welcome["colleagues"]} == {mia.agent_id, wei.agent_id}


async def test_the_list_is_live_and_says_who_wrote_last(rig: Rig, mia: AgentClient) -> None:
    old = await customer(rig)
    socket = await mia.join()
    whole = socket.frames[-1]["data"]
    assert whole["is_whole"] is True
    assert whole["counts"] == {"waiting": 0, "human": 0, "bot": 1, "closed": 0}
    [entry] = whole["conversations"]
    assert (entry["conversation_id"], entry["mode"], entry["last_author"]) == (old.conversation_id, "bot", "assistant")

    new = await customer(rig, "你好")
    await socket.until_listed(new.conversation_id, mode="bot", last_author="assistant")
    await new.send("handoff")
    await socket.until_listed(new.conversation_id, mode="waiting")
    await socket.did("claim", new.conversation_id)
    entry = await socket.until_listed(new.conversation_id, mode="human")
    assert (entry["assignee"], entry["assignee_name"]) == (mia.agent_id, "Mia")
    await new.say("are you there?", "b2")
    await socket.until_listed(new.conversation_id, last_author="customer")
    assert socket.frames[-1]["data"]["counts"] == {"waiting": 0, "human": 1, "bot": 1, "closed": 0}
    assert socket.frames[-1]["data"]["is_whole"] is False


async def test_who_waits_longest_comes_first(rig: Rig, mia: AgentClient) -> None:
    early, late = await customer(rig), await customer(rig)
    for buyer in (early, late):
        await buyer.send("handoff")
        await buyer.until("state", mode="waiting")
    await early.say("Hello?", "b2")
    await early.until_answered()
    asleep = await customer(rig)
    socket = await mia.join()
    listed = [entry["conversation_id"] for entry in socket.frames[-1]["data"]["conversations"]]
    assert listed == [early.conversation_id, late.conversation_id, asleep.conversation_id]


async def test_a_dropped_agent_misses_nothing(rig: Rig, mia: AgentClient) -> None:
    place = (await customer(rig)).conversation_id
    first = await mia.join()
    last = (await first.did("note", place, client_msg_id="first", text="be kind"))["position"]
    await first.websocket.close()
    for seen in range(last + 1):
        socket = await mia.join()
        await socket.send("subscribe", conversation_id=place, epoch=1, last_position=seen)
        assert (await socket.until("subscribed"))["data"]["last_position"] == last
        assert (await socket.until("resumed"))["data"]["upto"] == last
        assert socket.positions(place) == list(range(seen + 1, last + 1))
        last = (await socket.did("note", place, client_msg_id=f"n{seen}", text="again"))["position"]
        while (socket.positions(place) or [0])[-1] < last:
            await socket.next()
        assert socket.positions(place) == list(range(seen + 1, last + 1))


async def test_what_cannot_be_resumed_is_said_and_shown_anew(rig: Rig, mia: AgentClient) -> None:
    place = (await customer(rig)).conversation_id
    socket = await mia.join()
    for asked, reason in (({"epoch": 2}, "epoch_changed"), ({"epoch": 1, "last_position": 99}, "beyond_end")):
        await socket.send("subscribe", conversation_id=place, **asked)
        assert (await socket.until("resume_failed"))["data"]["reason"] == reason
        snapshot = (await socket.next("snapshot"))["data"]
        positions = [event["position"] for event in snapshot["events"]]
        assert positions == list(range(1, snapshot["last_position"] + 1))
        assert snapshot["events"][0]["type"] == "opened"
        await socket.send("note", conversation_id=place, client_msg_id=reason, text="x")
        assert (await socket.until("note"))["position"] == positions[-1] + 1


async def test_a_snapshot_of_long_messages_has_the_newest_that_fit(
    rig: Rig, mia: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_feed, "MAX_QUEUED_BYTES", 20_000)
    place = (await customer(rig)).conversation_id
    socket = await mia.join()
    for number in range(5):
        await socket.did("note", place, client_msg_id=f"n{number}", text=f"{number}" * 7_900)
    await socket.send("subscribe", conversation_id=place, epoch=9)
    snapshot = (await socket.until("snapshot"))["data"]
    last = snapshot["last_position"]
    assert [event["position"] for event in snapshot["events"]] == [last - 1, last]
    await socket.send("note", conversation_id=place, client_msg_id="n9", text="x")
    assert (await socket.until("note"))["position"] == last + 1


async def test_an_epoch_that_rises_while_one_watches_voids_what_was_shown(
    rig: Rig, mia: AgentClient, settings: Settings
) -> None:
    place = (await customer(rig)).conversation_id
    socket = await mia.join()
    await socket.watch(place)
    elsewhere = Database(settings.log_url)
    await elsewhere.open()
    async with elsewhere.writing() as connection:
        this = conversations.c.conversation_id == place
        await connection.execute(update(conversations).where(this).values(epoch=2, updated_at=now()))
    await elsewhere.close()
    assert (await socket.until("resume_failed"))["data"]["reason"] == "epoch_changed"
    assert (await socket.next("snapshot"))["data"]["epoch"] == 2
    await socket.did("note", place, client_msg_id="n1", text="after")
    assert socket.positions(place) == sorted(set(socket.positions(place))), "something was sent twice"


async def test_agents_see_the_private_fields_that_customers_do_not(rig: Rig, mia: AgentClient) -> None:
    buyer = await customer(rig)
    socket = await mia.join()
    await socket.watch(buyer.conversation_id)
    [answer] = [f for f in socket.frames if f["type"] == "message" and f["data"]["author"] == "assistant"]
    assert (answer["data"]["reason"], answer["data"]["model"]) == ("the test says so", "secret-model")
    assert "secret-model" not in str(buyer.frames)


async def test_agents_watch_an_answer_being_written(rig: Rig, mia: AgentClient) -> None:
    buyer = await customer(rig)
    socket = await mia.join()
    await socket.watch(buyer.conversation_id)
    rig.responder.holds = True
    await buyer.say("And shoes?", "b2")
    assert (await socket.until("delta"))["data"]["text"] == "You have 30 days. "
    rig.responder.holds = False
    rig.responder.go.put_nowait(None)
    await socket.until("message", author="assistant")


async def test_a_reply_is_stored_once_and_acknowledged_each_time(rig: Rig, mia: AgentClient) -> None:
    buyer = await customer(rig)
    place = buyer.conversation_id
    socket = await mia.join()
    await socket.did("claim", place)
    reply = {"client_msg_id": "first", "text": "Hello!"}  # the customer's first message has this id too
    first = await socket.did("reply", place, **reply)
    stored = (await rig.parts.log.events(ConversationId(place), after_position=first["position"] - 1))[0]
    assert stored.payload.text == "Hello!"  # type: ignore[union-attr]
    await socket.did("release", place)
    assert await socket.did("reply", place, **reply) == first, "a repeated reply was not acknowledged as the first"
    refused = await socket.refused("reply", place, client_msg_id="first", text="Something else")
    assert refused["code"] == "idempotency_conflict"
    await socket.did("note", place, client_msg_id="n1", text="x")
    assert (await socket.refused("note", place, client_msg_id="n1", text="y"))["code"] == "idempotency_conflict"
    said = [e for e in await rig.parts.log.events(ConversationId(place)) if e.author == "agent" and e.kind == "message"]
    assert len(said) == 1


async def test_a_draft_that_a_reply_was_made_from_is_kept_with_it(rig: Rig, mia: AgentClient) -> None:
    buyer = await customer(rig)
    socket = await mia.join()
    await socket.did("claim", buyer.conversation_id)
    await socket.did("draft", buyer.conversation_id)
    draft = (await rig.parts.log.events(ConversationId(buyer.conversation_id)))[-1].payload
    draft_id = draft.draft_id  # type: ignore[union-attr]
    await socket.did("reply", buyer.conversation_id, client_msg_id="r1", text="Hello!", draft_id=draft_id)
    seen = await buyer.until("message", author="agent")
    assert "draft_id" not in seen["data"]
    event = (await rig.parts.log.events(ConversationId(buyer.conversation_id)))[-1]
    assert (event.payload.draft_id, event.payload.agent_id) == (draft_id, mia.agent_id)  # type: ignore[union-attr]


async def test_the_customer_sees_that_a_person_writes(rig: Rig, mia: AgentClient) -> None:
    buyer = await customer(rig)
    socket = await mia.join()
    await socket.did("claim", buyer.conversation_id)
    await socket.send("typing", conversation_id=buyer.conversation_id)
    typing = await buyer.until("typing")
    assert typing["data"] == {"ttl_ms": TYPING_TTL_S * 1000}
    assert "seq" not in typing


async def test_what_is_typed_where_one_may_not_write_is_not_shown(rig: Rig, mia: AgentClient) -> None:
    buyer = await customer(rig)
    socket = await mia.join()
    assert (await socket.refused("typing", buyer.conversation_id))["code"] == "not_taken"
    assert rig.parts.manager.typing.last(ConversationId(buyer.conversation_id)) is None


async def test_an_unsubscribed_conversation_is_shown_no_more(rig: Rig, mia: AgentClient) -> None:
    place = (await customer(rig)).conversation_id
    socket = await mia.join()
    await socket.watch(place)
    await socket.send("unsubscribe", conversation_id=place)
    await socket.until("unsubscribed")
    seen = socket.positions(place)
    await socket.did("note", place, client_msg_id="n1", text="x")
    await socket.until_listed(place, last_position=seen[-1] + 1)
    assert socket.positions(place) == seen


async def test_too_many_subscriptions_are_refused(rig: Rig, mia: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_writer, "MAX_SUBSCRIPTIONS", 1)
    one, two = (await customer(rig)).conversation_id, (await customer(rig)).conversation_id
    socket = await mia.join()
    await socket.watch(one)
    assert (await socket.refused("subscribe", two))["code"] == "too_many_subscriptions"
    await socket.watch(one)
    await socket.send("unsubscribe", conversation_id=one)
    await socket.watch(two)


BAD = {
    "unknown_conversation": {"type": "claim", "conversation_id": "c_none"},
    "unknown_agent": {"type": "assign", "conversation_id": "HERE", "agent_id": "a_none"},
    "text_empty": {"type": "note", "conversation_id": "HERE", "client_msg_id": "n", "text": " \n"},
    "text_too_long": {"type": "note", "conversation_id": "HERE", "client_msg_id": "n", "text": "x" * 8_001},
    "bad_frame": {"type": "label", "conversation_id": "HERE", "label": ""},
    "unknown_type": {"type": "message", "text": "as a customer"},
    "hello_repeated": {"type": "hello", "token": "t"},
}


async def test_a_bad_frame_costs_an_error_and_not_the_socket(rig: Rig, mia: AgentClient) -> None:
    place = (await customer(rig)).conversation_id
    before = (await rig.parts.log.head(ConversationId(place))).last_position
    socket = await mia.join()
    for code, frame in BAD.items():
        await socket.websocket.send_str(json.dumps(frame).replace("HERE", place))
        error = (await socket.until("error"))["data"]
        assert error["code"] == code
        assert error.get("client_msg_id") == frame.get("client_msg_id")
    await socket.send("ping")
    await socket.until("pong")
    assert (await rig.parts.log.head(ConversationId(place))).last_position == before


async def test_nobody_gets_in_without_an_agents_token(rig: Rig, mia: AgentClient) -> None:
    buyer = await rig.visitor()
    used = await mia.token()
    socket = await mia.upgrade()
    await socket.send("hello", token=used)
    await socket.next("welcome")
    for token in (await buyer.token(), buyer.secret, mia.session, "x", used):
        socket = await mia.upgrade()
        await socket.send("hello", token=token)
        assert (await socket.next("error"))["data"]["code"] == "unauthorized"
        assert await socket.closed() == CloseCode.AUTH
    socket = await mia.upgrade()
    await socket.send("ping")
    assert (await socket.next("error"))["data"]["code"] == "hello_expected"
    assert await socket.closed() == CloseCode.AUTH


async def test_an_agents_token_opens_no_visitors_socket(rig: Rig, mia: AgentClient) -> None:
    socket = AgentSocket(await rig.http.ws_connect(rig.url("/v1/ws")))
    await socket.send("hello", token=await mia.token())
    assert (await socket.next("error"))["data"]["code"] == "unauthorized"


async def test_a_token_of_another_page_is_refused(rig: Rig, mia: AgentClient) -> None:
    socket = await mia.upgrade(Origin=rig.own_origin)
    await socket.send("hello", token=await mia.token())
    assert (await socket.next("error"))["data"]["code"] == "wrong_origin"
    assert await socket.closed() == CloseCode.ORIGIN


async def test_shutdown_closes_agents_sockets_as_draining(rig: Rig, mia: AgentClient) -> None:
    socket = await mia.join()
    draining = asyncio.create_task(rig.gateway.sockets.drain())
    assert await socket.closed() == CloseCode.DRAINING
    await draining


@pytest.fixture
async def other(settings: Settings, rig: Rig) -> AsyncIterator[Rig]:
    """A second server with connections of its own to the same database, as another process has them."""
    database = Database(settings.log_url)
    await database.open()
    other = await start_rig(rig.parts.settings, database)
    yield other
    await stop_rig(other)
    await database.close()


async def test_two_claim_at_once_in_two_processes_and_both_customers_and_agents_see_who_won(
    rig: Rig, other: Rig, mia: AgentClient
) -> None:
    for _ in range(3):
        buyer = await customer(rig)
        place = buyer.conversation_id
        here, there = await mia.join(), await (await hire(other, f"Wei{place[-8:]}")).join()
        await asyncio.gather(here.watch(place), there.watch(place))
        answers = await asyncio.gather(here.ask("claim", place), there.ask("claim", place))
        assert sorted(answer["type"] for answer in answers) == ["ack", "error"]
        holder = (await buyer.until("state", mode="human"))["data"]["assignee"]
        lost = next(answer["data"] for answer in answers if answer["type"] == "error")
        assert (lost["code"], lost["holder"]["name"]) == ("taken", holder)
        winner = here if holder == "Mia" else there
        await winner.did("reply", place, client_msg_id="r1", text=f"It is {holder}.")
        assert (await buyer.until("message", author="agent"))["data"]["text"] == f"It is {holder}."


async def test_a_claim_in_another_process_cuts_an_answer_off_here(rig: Rig, other: Rig) -> None:
    buyer = await customer(rig)
    there = await (await hire(other, "Wei")).join()
    rig.responder.holds = True
    await buyer.say("And shoes?", "b2")
    await buyer.until("delta")
    await there.did("claim", buyer.conversation_id)
    cut = (await buyer.until_answered())["data"]
    assert (cut["finish_reason"], cut["text"]) == ("interrupted", "You have 30 days.")


async def test_a_claim_that_comes_while_the_answer_is_committed_still_comes_first(rig: Rig, other: Rig) -> None:
    """Nobody stops the answer: the log itself refuses it once a person has the conversation."""
    buyer = await customer(rig)
    wei = await hire(other, "Wei")

    async def answer(question: Question, sink: Sink) -> Reply:
        sink.release("You have 30 days. ")
        person = Person(wei.agent_id, "Wei")
        await other.parts.log.append(
            ConversationId(buyer.conversation_id), [], first=lambda head: takeover.claim(head, person)
        )
        return reply("You have 30 days. Shoes have 60.", quick_replies=("More",))

    rig.responder.answer = answer
    await buyer.say("And shoes?", "b2")
    cut = (await buyer.until_answered())["data"]
    assert (cut["finish_reason"], cut["text"], cut.get("quick_replies")) == ("interrupted", "You have 30 days.", None)
    kinds = [event.kind for event in await public_events(rig, buyer.conversation_id)]
    assert kinds[-2:] == ["state", "message"]
