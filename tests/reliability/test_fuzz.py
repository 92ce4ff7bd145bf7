"""Frames that nobody would send: each is answered or ends its socket with a documented code, and nobody else knows."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import WSMsgType
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel
from structlog.testing import capture_logs

from assistant.conversation.events import ConversationId
from assistant.dialogue.manager import Speaker
from assistant.gateway.agent_protocol import AGENT_COMMANDS
from assistant.gateway.protocol import COMMANDS, ERROR_CODES, CloseCode
from tests.gateway.agents_rig import AgentClient, AgentSocket, hire
from tests.gateway.conftest import StartRig
from tests.gateway.published import check_sent_by_server
from tests.gateway.rig import PATIENCE_S, Rig, SocketClient
from tests.gateway.test_protocol import almost_frames, json_values
from tests.reliability.server import GENEROUS

pytestmark = pytest.mark.reliability

NUM_FRAMES, NUM_FRAMES_LONG = 2_000, 20_000
NUM_IN_BURST = 10  # under the limit of bad frames, so that it is the frames that are tested and not the limit
FRAMES_PER_BURST = 4  # what a burst comes to at least: many end their socket half way
CONVERSATION_EVERY = 25
TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
DOCUMENTED = {code.value for code in CloseCode} | {1000}

Frame = tuple[WSMsgType, bytes]

PLACE = "c_fuzzed"  # a conversation that is there, so that agents' good frames do something
OF_VISITORS: list[dict[str, object]] = [
    {"type": "ping"},
    {"type": "message", "client_msg_id": "a", "text": "How long can I return an item?"},
    {"type": "message", "client_msg_id": "b", "text": "多久之内可以退货？👋"},
    {"type": "stop", "turn_id": "t_1"},
    {"type": "regenerate", "message_id": "m_1"},
    {"type": "feedback", "message_id": "m_1", "rating": "down", "comment": "no"},
    {"type": "handoff", "reason": "please"},
    {"type": "hello", "token": "t", "conversation_id": "c_1", "epoch": 1, "last_seq": 7, "locale": "zh-CN"},
]
OF_AGENTS: list[dict[str, object]] = [
    {"type": "ping"},
    {"type": "reply", "conversation_id": PLACE, "client_msg_id": "a", "text": "多久之内可以退货？👋"},
    {"type": "note", "conversation_id": PLACE, "client_msg_id": "b", "text": "She called."},
    {"type": "subscribe", "conversation_id": PLACE, "epoch": 1, "last_position": 1},
    {"type": "unsubscribe", "conversation_id": PLACE},
    {"type": "claim", "conversation_id": PLACE, "force": False},
    {"type": "release", "conversation_id": PLACE, "note": "yours"},
    {"type": "assign", "conversation_id": PLACE, "agent_id": "a_1"},
    {"type": "close", "conversation_id": PLACE},
    {"type": "label", "conversation_id": PLACE, "label": "returns", "is_on": True},
    {"type": "typing", "conversation_id": PLACE},
    {"type": "hello", "token": "t"},
]


def never_left_out(good: list[dict[str, object]]) -> list[list[Frame]]:
    """One of each kind that chance may leave out."""
    return [
        [(TEXT, b"["), (TEXT, b"[" * 1_000 + b"]" * 1_000), (TEXT, b'{"type":"no"}'), (TEXT, b'{"type":"hello"}')],
        [(TEXT, json.dumps({**good[1], "text": "x" * 8_001}).encode()), (TEXT, json.dumps(good[-1]).encode())],
        [(BINARY, b"\x00")],
        [(TEXT, b"\xff")],
        [(TEXT, b"9" * 70_000)],
        [(TEXT, b"9" * 140_000)],
    ]


def encoded(good: list[dict[str, object]]) -> st.SearchStrategy[bytes]:
    return st.sampled_from([json.dumps(frame, ensure_ascii=False).encode() for frame in good])


@st.composite
def mutated(draw: st.DrawFn, good: list[dict[str, object]]) -> bytes:
    """A good frame with a piece taken out, put in, or put twice, wherever that may be."""
    frame = draw(encoded(good))
    start, end = sorted((draw(st.integers(0, len(frame))), draw(st.integers(0, len(frame)))))
    piece = draw(st.sampled_from([b"", frame[start:end] * 2]) | st.binary(max_size=6))
    return frame[:start] + piece + frame[end:]


@st.composite
def oversized(draw: st.DrawFn) -> bytes:
    """A frame around one of the limits of size, length and depth."""
    count = draw(st.sampled_from([17, 1_000, 8_000, 8_001, 60_000, 65_000, 65_400, 65_537, 140_000]))
    piece = draw(st.sampled_from(["x", "界", "[", '{"a":', "\\u0000", "9", " "]))
    text = piece * (count // len(piece.encode()) + 1)
    if draw(st.booleans()):
        text = '{"type":"message","client_msg_id":"a","text":"' + text.replace('"', "") + '"}'
    return text.encode()


def texts(good: list[dict[str, object]], commands: Mapping[str, type[BaseModel]]) -> st.SearchStrategy[bytes]:
    return st.one_of(
        encoded(good),
        mutated(good).map(lambda frame: frame.decode("utf-8", "ignore").encode()),
        st.text().map(str.encode),
        almost_frames(commands).map(lambda frame: json.dumps(frame).encode()),
        json_values.map(lambda value: json.dumps(value).encode()),
    )


@st.composite
def frames(draw: st.DrawFn, good: list[dict[str, object]], some_text: st.SearchStrategy[bytes]) -> Frame:
    """Mostly text. What ends the socket at once, such as bytes that are no UTF-8, is rare: the rest is to be judged."""
    match draw(st.integers(1, 40)):
        case 10:
            return BINARY, draw(st.binary())
        case 20:
            return TEXT, draw(st.binary(max_size=32) | mutated(good))
        case 25 | 30 | 35:
            return TEXT, draw(oversized())
    return TEXT, draw(some_text)


def always(bursts: list[list[Frame]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return lambda test: reduce(lambda inner, burst: example(burst)(inner), bursts, test)


class Side(Protocol):
    """Whose sockets are probed."""

    name: str

    async def open(self, number: int) -> SocketClient | AgentSocket:
        """A socket; some say something else than hello first, and are to be sent away."""

    def sentinel(self, name: str) -> dict[str, object]:
        """A frame that is answered by an error which has this name in its message."""


@dataclass
class Visitors:
    rig: Rig
    name: str = "visitor"

    async def open(self, number: int) -> SocketClient:
        visitor = await self.rig.visitor()
        return await (visitor.upgrade() if number % 4 == 2 else visitor.join())

    def sentinel(self, name: str) -> dict[str, object]:
        return {"type": "feedback", "message_id": name, "rating": "up"}


@dataclass
class Agents:
    """A supervisor with a conversation that is there; some sockets show it from the beginning."""

    rig: Rig
    name: str = "agent"
    agent: AgentClient | None = None

    async def open(self, number: int) -> AgentSocket:
        if self.agent is None:
            visitor, _ = await self.rig.parts.visitors.add("default")
            speaker = Speaker(ConversationId(PLACE), visitor.visitor_id, "default", "en")
            await self.rig.parts.manager.receive(speaker, "How long can I return an item?", "first")
            self.agent = await hire(self.rig, role="supervisor")
        if number % 4 == 2:
            return await self.agent.upgrade()
        socket = await self.agent.join()
        if number % 4 == 1:
            await socket.watch(PLACE)
        return socket

    def sentinel(self, name: str) -> dict[str, object]:
        return {"type": "subscribe", "conversation_id": name}


@dataclass
class Prober:
    """Sends frames to one server, a new socket for each that ended; counts what came back."""

    rig: Rig
    side: Side
    num_wanted: int
    codes: Counter[str | int] = field(default_factory=Counter)
    num_judged: int = 0
    num_bursts: int = 0
    num_sockets: int = 0
    socket: SocketClient | AgentSocket | None = None

    async def burst(self, burst: list[Frame]) -> None:
        if self.num_judged >= self.num_wanted:
            return
        self.rig.clock.now += 120  # so that nothing is one too many in its minute
        self.num_bursts += 1
        socket = await self._socket()
        try:
            for opcode, payload in burst:
                await socket.websocket.send_frame(payload, opcode)
            await socket.websocket.send_json(self.side.sentinel(f"sentinel-{self.num_bursts}"))
        except aiohttp.ClientConnectionResetError:
            pass  # it was closed after one of them
        self.num_judged += await self._read_all(socket, num_sent=len(burst))
        if self.num_bursts % CONVERSATION_EVERY == 1:
            await self._converse()

    async def _socket(self) -> SocketClient | AgentSocket:
        if self.socket is None:
            self.num_sockets += 1
            self.socket = await self.side.open(self.num_sockets)
        return self.socket

    async def _read_all(self, socket: SocketClient | AgentSocket, *, num_sent: int) -> int:
        """Read until the burst's end is answered or the socket closed; how many frames were judged for certain."""
        num_errors = 0
        while True:
            message = await socket.websocket.receive(timeout=PATIENCE_S)
            if message.type is not WSMsgType.TEXT:
                self._note_close(socket.websocket.close_code)
                return max(1, num_errors)
            frame = json.loads(message.data)
            check_sent_by_server(frame, socket=self.side.name)
            if frame["type"] == "error":
                num_errors += 1
                self.codes[frame["data"]["code"]] += 1
                if f"sentinel-{self.num_bursts}" in frame["data"]["message"]:
                    return num_sent

    def _note_close(self, code: int | None) -> None:
        assert code in DOCUMENTED, f"closed with {code}"
        self.codes[code] += 1
        self.socket = None

    async def _converse(self) -> None:
        visitor = await self.rig.visitor()
        socket = await visitor.join()
        await socket.say("How long can I return an item?")
        answer = await socket.until_answered()
        assert answer["data"]["text"] == "You have 30 days. Shoes have 60."
        await socket.close()


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("side", "good", "commands", "share"),
    [(Visitors, OF_VISITORS, COMMANDS, 1), (Agents, OF_AGENTS, AGENT_COMMANDS, 2)],
    ids=["visitors", "agents"],
)
async def test_no_frame_breaks_the_server_or_another_conversation(
    start: StartRig,
    *,
    is_long: bool,
    side: Callable[[Rig], Side],
    good: list[dict[str, object]],
    commands: Mapping[str, type[BaseModel]],
    share: int,
) -> None:
    num_frames = (NUM_FRAMES_LONG if is_long else NUM_FRAMES) // share
    rig = await start(**GENEROUS)
    prober = Prober(rig, side(rig), num_frames)
    frame = frames(good, texts(good, commands))
    loop, unhandled = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))

    # Hypothesis calls from a thread of its own: the server's loop goes on meanwhile.
    @hypothesis_settings(
        max_examples=num_frames // FRAMES_PER_BURST,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not is_long,
    )
    @always(never_left_out(good))
    @given(st.lists(frame, min_size=NUM_IN_BURST, max_size=NUM_IN_BURST))
    def send(burst: list[Frame]) -> None:
        asyncio.run_coroutine_threadsafe(prober.burst(burst), loop).result(10 * PATIENCE_S)

    with capture_logs() as logs:
        await asyncio.to_thread(send)
    assert unhandled == []
    assert [line for line in logs if line["log_level"] == "error"] == []
    assert "internal" not in prober.codes
    assert prober.num_judged >= num_frames
    seen = set(prober.codes)
    assert {
        "not_json",
        "unknown_type",
        "bad_frame",
        "binary_frame",
        "too_deep",
        "text_too_long",
        "hello_repeated",
    } <= seen
    assert {CloseCode.NOT_UTF8.value, CloseCode.TOO_LARGE.value, CloseCode.AUTH.value} <= seen
    assert seen - DOCUMENTED <= set(ERROR_CODES)
