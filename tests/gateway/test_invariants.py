"""Many visitors who come, drop and come back at any moment: what holds in every order of things."""

from __future__ import annotations

import asyncio
import random

import pytest

from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, SocketClient, VisitorClient, reply

pytestmark = pytest.mark.unit

NUM_VISITORS = 6
NUM_MESSAGES = 5


async def hurried(question: Question, sink: Sink) -> Reply:
    """Words with pauses of any number of steps of the loop, so that everything meets everything."""
    chance, text = random.Random(question.text), ""
    sink.enter("searching")
    for word in question.text.split():
        for _ in range(chance.choice([0, 0, 1, 5, 40])):
            await asyncio.sleep(0)
        sink.release(word + " ")
        text += word + " "
    return reply(text.strip())


class Watcher:
    """One visitor's client: keeps what a widget keeps, and checks each frame against it."""

    def __init__(self) -> None:
        self.conversation_id: str | None = None
        self.last_seq = 0
        self.answers: dict[str, str] = {}  # reply_to -> final text
        self.asked: dict[str, str] = {}  # client_msg_id -> message_id
        self.acked: set[str] = set()
        self.streams: dict[str, str] = {}  # message_id -> text so far, on this socket
        self.finals: set[str] = set()

    def see(self, frame: dict[str, object]) -> None:
        data: dict[str, object] = frame["data"]  # type: ignore[assignment]
        kind, message_id = frame["type"], str(data.get("message_id"))
        if "seq" in frame:
            assert frame["seq"] == self.last_seq + 1, "a gap or a repetition"
            self.last_seq += 1
        if kind == "welcome":
            self.conversation_id, self.streams = str(frame["conversation_id"]), {}
        elif kind == "ack":
            self.acked.add(str(data["client_msg_id"]))
        elif kind == "delta":
            assert message_id not in self.finals, "a delta after the final message"
            assert data["index"] == len(self.streams.get(message_id, "")), "a hole in the text"
            self.streams[message_id] = self.streams.get(message_id, "") + str(data["text"])
        elif kind == "message" and data["author"] == "customer":
            self.asked[str(data["client_msg_id"])] = message_id
        elif kind == "message":
            assert data["reply_to"] in self.asked.values(), "an answer before its question"
            assert data["reply_to"] not in self.answers, "two answers to one question"
            assert str(data["text"]).startswith(self.streams.get(message_id, "").strip())
            self.answers[str(data["reply_to"])] = str(data["text"])
            self.finals.add(message_id)


async def comes_and_goes(rig: Rig, visitor: VisitorClient, chance: random.Random) -> Watcher:
    watcher = Watcher()
    todo = {
        f"m{n}": " ".join(f"word{chance.random()}" for _ in range(chance.randint(2, 12))) for n in range(NUM_MESSAGES)
    }
    while len(watcher.answers) < NUM_MESSAGES:
        resume = {"conversation_id": watcher.conversation_id, "epoch": 1, "last_seq": watcher.last_seq}
        socket = await visitor.connect(**(resume if watcher.last_seq else {}))
        welcome = await socket.next("welcome")
        watcher.see(welcome)
        await socket_of(socket, watcher, todo, num_frames=chance.randint(0, 25))
    assert {watcher.asked[key]: text for key, text in todo.items()} == watcher.answers
    return watcher


async def socket_of(socket: SocketClient, watcher: Watcher, todo: dict[str, str], *, num_frames: int) -> None:
    """Send what is not acknowledged, read some frames, drop without a word."""
    unsaid = next((key for key in todo if key not in watcher.asked), None)
    if unsaid is not None:
        await socket.say(todo[unsaid], unsaid)
    for _ in range(num_frames):
        asked = len(watcher.asked) if unsaid is None or unsaid in watcher.asked else NUM_MESSAGES
        if len(watcher.answers) == asked:
            break
        watcher.see(await socket.next())
    transport = socket.websocket._response.connection.transport  # type: ignore[union-attr]
    transport.abort()


@pytest.mark.parametrize("seed", range(4))
async def test_no_drop_loses_repeats_or_reorders_anything(start: StartRig, seed: int) -> None:
    generous = {"messages_per_minute": 10_000, "handshakes_per_minute": 100_000}
    rig = await start(extra={"dialogue": {"max_turns": 1_000}}, **generous)
    rig.responder.answer = hurried
    visitors = [await rig.visitor() for _ in range(NUM_VISITORS)]
    runs = [comes_and_goes(rig, visitor, random.Random(f"{seed} {n}")) for n, visitor in enumerate(visitors)]
    watchers = await asyncio.wait_for(asyncio.gather(*runs), 60)
    for visitor, watcher in zip(visitors, watchers, strict=True):
        body = await (await visitor.get_events(str(watcher.conversation_id), limit=500)).json()
        assert body["last_seq"] == 2 * NUM_MESSAGES
