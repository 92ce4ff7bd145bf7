"""Drafts for the person who has a conversation: offered to people alone, and what became of them is recorded."""

from __future__ import annotations

import random
import time

import pytest

from assistant.conversation.events import Citation, ConversationId, DraftOffered, DraftUsed
from assistant.dialogue.draft import Sink
from assistant.dialogue.suggesting import levenshtein
from assistant.dialogue.turn import Question, Reply
from assistant.gateway import agent_drafts
from tests.gateway.agents_rig import AgentSocket, customer, hire
from tests.gateway.rig import Rig, SocketClient, reply

pytestmark = pytest.mark.unit

ANSWER = "You have 30 days."
CITATION = Citation("en/returns#days", "Returns", "returns.md", "en", "30 days", 0, 7, 9, 16)


@pytest.fixture
async def buyer(rig: Rig) -> SocketClient:
    return await customer(rig)


@pytest.fixture
async def mia(rig: Rig, buyer: SocketClient) -> AgentSocket:
    """Somebody who has the customer's conversation and watches it."""
    socket = await (await hire(rig)).join()
    await socket.did("claim", buyer.conversation_id)
    await socket.watch(buyer.conversation_id)

    async def answer(question: Question, sink: Sink) -> Reply:
        return reply(ANSWER, citations=(CITATION,), prompt_id="p-1")

    rig.responder.answer = answer
    return socket


async def steps(rig: Rig, place: str) -> list[DraftOffered | DraftUsed]:
    """What the log has of drafts."""
    events = await rig.parts.log.events(ConversationId(place))
    return [event.payload for event in events if isinstance(event.payload, DraftOffered | DraftUsed)]


async def test_a_draft_with_its_sources_is_offered_to_the_agent_and_never_to_the_customer(
    rig: Rig, buyer: SocketClient, mia: AgentSocket
) -> None:
    await buyer.say("And shoes?", "b")
    await buyer.until("ack")
    ack = await mia.did("draft", buyer.conversation_id)
    told = [frame for frame in mia.frames if frame["type"] == "draft.offered"]  # it may come before the ack
    offered = told[0] if told else await mia.until("draft.offered")
    assert offered["position"] == ack["position"]
    assert offered["data"]["text"] == ANSWER
    assert offered["data"]["citations"][0]["entry_id"] == CITATION.entry_id
    assert offered["data"]["adapter"] == "secret-adapter"
    await buyer.send("ping")
    await buyer.until("pong")
    assert "draft" not in str(buyer.frames[-3:])
    assert buyer.seqs == list(range(1, len(buyer.seqs) + 1))


@pytest.mark.parametrize(
    ("text", "names_it", "outcome", "distance"),
    [
        (ANSWER, True, "accepted", 0.0),
        (ANSWER, False, "accepted", 0.0),
        ("You have 60 days.", True, "edited", round(1 / 17, 4)),
        ("No", False, "ignored", round(16 / 17, 4)),
    ],
)
async def test_what_was_sent_instead_is_recorded_with_its_distance(
    rig: Rig, buyer: SocketClient, mia: AgentSocket, text: str, names_it: bool, outcome: str, distance: float
) -> None:
    place = buyer.conversation_id
    await mia.did("draft", place)
    [draft] = await steps(rig, place)
    names = {"draft_id": draft.draft_id} if names_it else {}
    for _ in range(2):  # sent twice, recorded once
        await mia.did("reply", place, client_msg_id="r", text=text, **names)
    said = (await buyer.until("message", author="agent"))["data"]
    assert (await steps(rig, place))[1:] == [DraftUsed(draft.draft_id, said["message_id"], outcome, distance)]  # type: ignore[arg-type]
    await mia.did("reply", place, client_msg_id="r2", text="Anything else?")
    assert len(await steps(rig, place)) == 2, "a draft is settled once"


async def test_there_is_no_draft_of_what_is_not_worth_offering_and_none_of_an_unknown_id(
    rig: Rig, buyer: SocketClient, mia: AgentSocket
) -> None:
    place = buyer.conversation_id
    refused = await mia.refused("reply", place, client_msg_id="r", text="Hello", draft_id="d_nothing")
    assert (refused["code"], refused["client_msg_id"]) == ("no_draft", "r")

    async def answer(question: Question, sink: Sink) -> Reply:
        return Reply("I do not know.", "en", "abstained", "no passage")

    rig.responder.answer = answer
    assert (await mia.refused("draft", place))["code"] == "no_draft"
    assert await steps(rig, place) == []


async def test_a_draft_that_is_being_written_holds_nothing_else_up_and_there_are_few_at_a_time(
    rig: Rig, buyer: SocketClient, mia: AgentSocket
) -> None:
    rig.responder.answer, rig.responder.holds = None, True
    for _ in range(agent_drafts.MAX_DRAFTS + 1):
        await mia.send("draft", conversation_id=buyer.conversation_id)
    assert (await mia.until("error"))["data"]["code"] == "rate_limited"
    await mia.send("ping")
    await mia.until("pong")
    for _ in range(agent_drafts.MAX_DRAFTS * 2):
        rig.responder.go.put_nowait(None)
    for _ in range(agent_drafts.MAX_DRAFTS):
        await mia.until("ack", command="draft")


async def test_a_draft_that_comes_after_the_release_is_not_offered(
    rig: Rig, buyer: SocketClient, mia: AgentSocket
) -> None:
    rig.responder.answer, rig.responder.holds = None, True
    await mia.send("draft", conversation_id=buyer.conversation_id)
    await mia.did("release", buyer.conversation_id)
    for _ in rig.responder.sentences:
        rig.responder.go.put_nowait(None)
    assert (await mia.until("error"))["data"]["code"] == "not_taken"
    assert await steps(rig, buyer.conversation_id) == []


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("退货要几天", "退款要多少天", 3),
        ("ab", "ba", 2),
    ],
)
def test_the_distance_is_the_least_number_of_changes(one: str, other: str, distance: int) -> None:
    assert levenshtein(one, other) == levenshtein(other, one) == distance


def test_the_distance_is_that_of_the_textbook_and_two_long_texts_take_no_time() -> None:
    chance = random.Random(7)

    def textbook(one: str, other: str) -> int:
        row = list(range(len(other) + 1))
        for i, a in enumerate(one, 1):
            above, row = row, [i]
            for j, b in enumerate(other, 1):
                row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
        return row[-1]

    for _ in range(50):
        one, other = ["".join(chance.choices("abc退", k=chance.randrange(90))) for _ in range(2)]
        assert levenshtein(one, other) == textbook(one, other)
    long = ["".join(chance.choices("abcdefgh ", k=8_000)) for _ in range(2)]
    begun = time.process_time()
    levenshtein(*long)
    assert time.process_time() - begun < 2
