"""Frames that nobody would send: each is answered or ends its socket with a documented code, and nobody else knows."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from assistant.gateway.protocol import COMMANDS, ERROR_CODES, CloseCode
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

GOOD: list[dict[str, object]] = [
    {"type": "ping"},
    {"type": "message", "client_msg_id": "a", "text": "How long can I return an item?"},
    {"type": "message", "client_msg_id": "b", "text": "多久之内可以退货？👋"},
    {"type": "stop", "turn_id": "t_1"},
    {"type": "regenerate", "message_id": "m_1"},
    {"type": "feedback", "message_id": "m_1", "rating": "down", "comment": "no"},
    {"type": "handoff", "reason": "please"},
    {"type": "hello", "token": "t", "conversation_id": "c_1", "epoch": 1, "last_seq": 7, "locale": "zh-CN"},
]
# One of each kind that chance may leave out.
NEVER_LEFT_OUT: list[list[Frame]] = [
    [(TEXT, b"["), (TEXT, b"[" * 1_000 + b"]" * 1_000), (TEXT, b'{"type":"no"}'), (TEXT, b'{"type":"message"}')],
    [(TEXT, json.dumps({**GOOD[1], "text": "x" * 8_001}).encode()), (TEXT, json.dumps(GOOD[-1]).encode())],
    [(BINARY, b"\x00")],
    [(TEXT, b"\xff")],
    [(TEXT, b"9" * 140_000)],
]
encoded_good = st.sampled_from([json.dumps(frame, ensure_ascii=False).encode() for frame in GOOD])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good frame with a piece taken out, put in, or put twice, wherever that may be."""
    frame = draw(encoded_good)
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


texts = st.one_of(
    encoded_good,
    mutated().map(lambda frame: frame.decode("utf-8", "ignore").encode()),
    st.text().map(str.encode),
    almost_frames(COMMANDS).map(lambda frame: json.dumps(frame).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Mostly text. What ends the socket at once, such as bytes that are no UTF-8, is rare: the rest is to be judged."""
    match draw(st.integers(1, 40)):
        case 10:
            return BINARY, draw(st.binary())
        case 20:
            return TEXT, draw(st.binary(max_size=32) | mutated())
        case 25 | 30 | 35:
            return TEXT, draw(oversized())
    return TEXT, draw(texts)


def always(bursts: list[list[Frame]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return lambda test: reduce(lambda inner, burst: example(burst)(inner), bursts, test)


@dataclass
class Prober:
    """Sends frames to one server, a new socket for each that ended; counts what came back."""

    rig: Rig
    num_wanted: int
    codes: Counter[str | int] = field(default_factory=Counter)
    num_judged: int = 0
    num_bursts: int = 0
    num_sockets: int = 0
    socket: SocketClient | None = None

    async def burst(self, burst: list[Frame]) -> None:
        if self.num_judged >= self.num_wanted:
            return
        self.rig.clock.now += 60
        self.num_bursts += 1
        socket = await self._socket()
        try:
            for opcode, payload in burst:
                await socket.websocket.send_frame(payload, opcode)
            await socket.send("feedback", message_id=f"sentinel-{self.num_bursts}", rating="up")
        except aiohttp.ClientConnectionResetError:
            pass  # it was closed after one of them
        self.num_judged += await self._read_all(socket, num_sent=len(burst))
        if self.num_bursts % CONVERSATION_EVERY == 1:
            await self._converse()

    async def _socket(self) -> SocketClient:
        if self.socket is None:
            visitor = await self.rig.visitor()
            # Some say something else first, and are to be sent away.
            self.num_sockets += 1
            self.socket = await (visitor.upgrade() if self.num_sockets % 4 == 0 else visitor.join())
        return self.socket

    async def _read_all(self, socket: SocketClient, *, num_sent: int) -> int:
        """Read until the burst's end is answered or the socket closed; how many frames were judged for certain."""
        num_errors = 0
        while True:
            message = await socket.websocket.receive(timeout=PATIENCE_S)
            if message.type is not WSMsgType.TEXT:
                self._note_close(socket.websocket.close_code)
                return max(1, num_errors)
            frame = json.loads(message.data)
            check_sent_by_server(frame)
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
async def test_no_frame_breaks_the_server_or_another_conversation(start: StartRig, *, is_long: bool) -> None:
    num_frames = NUM_FRAMES_LONG if is_long else NUM_FRAMES
    prober = Prober(await start(**GENEROUS), num_frames)
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
    @always(NEVER_LEFT_OUT)
    @given(st.lists(frames(), min_size=NUM_IN_BURST, max_size=NUM_IN_BURST))
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
