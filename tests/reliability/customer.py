"""A client that keeps what a widget keeps, comes back after every drop, and notices what must never happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import WSMsgType

Frame = dict[str, Any]
PATIENCE_S = 30
TOGETHER_S = 240
PAUSE_S = 0.03


@dataclass
class Held:
    """What a client knows of its conversation. `see` takes each frame and fails on a gap, a repetition, a lie."""

    conversation_id: str | None = None
    epoch: int = 1
    events: list[Frame] = field(default_factory=list)
    acked: dict[str, int] = field(default_factory=dict)
    streams: dict[str, str] = field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        return len(self.events)

    @property
    def answered(self) -> set[str]:
        """The client_msg_ids of what was answered."""
        replied = {frame["data"].get("reply_to") for frame in self.events if frame["type"] == "message"}
        return {key for key, message_id in self.asked.items() if message_id in replied}

    @property
    def asked(self) -> dict[str, str]:
        said = [frame["data"] for frame in self.events if frame["data"].get("author") == "customer"]
        return {data["client_msg_id"]: data["message_id"] for data in said}

    def hello(self) -> dict[str, object]:
        if self.conversation_id is None:
            return {}
        return {"conversation_id": self.conversation_id, "epoch": self.epoch, "last_seq": self.last_seq}

    def see(self, frame: Frame) -> None:
        data = frame["data"]
        if "seq" in frame:
            self._see_event(frame)
        elif frame["type"] == "welcome":
            self.conversation_id, self.epoch, self.streams = frame["conversation_id"], data["epoch"], {}
        elif frame["type"] == "resume_failed":
            is_known = data["reason"] == "epoch_changed"
            assert is_known or not (self.events or self.acked), f"what was acknowledged is lost: {data}"
            self.events = []
        elif frame["type"] == "snapshot":
            for event in data["events"]:
                self._see_event(event)
        elif frame["type"] == "ack":
            self._note(data["client_msg_id"], data["seq"])
        elif frame["type"] == "error":
            raise AssertionError(f"refused: {data}")
        elif frame["type"] == "delta":
            text = self.streams.get(data["message_id"], "")
            assert data["index"] == len(text), "a hole in the text"
            self.streams[data["message_id"]] = text + data["text"]

    def _see_event(self, frame: Frame) -> None:
        assert frame["seq"] == self.last_seq + 1, f"seq {frame['seq']} after {self.last_seq}"
        if frame["type"] == "message" and (reply_to := frame["data"].get("reply_to")):
            assert reply_to in self.asked.values(), "an answer before its question"
            assert reply_to not in {earlier["data"].get("reply_to") for earlier in self.events}, "two answers"
        if frame["data"].get("author") == "customer":
            self._note(frame["data"]["client_msg_id"], frame["seq"])  # seeing one's own message is as good as its ack
        self.events.append(frame)

    def _note(self, client_msg_id: str, seq: int) -> None:
        assert self.acked.setdefault(client_msg_id, seq) == seq, "two acks that differ"


class Customer:
    """Somebody who goes on asking over sockets that break."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, *, identity: dict[str, str] | None = None, held: Held | None = None
    ) -> None:
        self._http = http
        self.url = url
        self.held = held or Held()
        self.num_drops = 0
        self.identity = identity or {}
        self._websocket: aiohttp.ClientWebSocketResponse | None = None

    async def until(self, is_enough: Callable[[Held], bool], *, say: Callable[[Held], Frame | None]) -> None:
        """Come back until it is enough; ``say`` gives the message to send, again where it was not acknowledged."""
        async with asyncio.timeout(TOGETHER_S):
            while not is_enough(self.held):
                try:
                    await self._one_socket(is_enough, say)
                except (aiohttp.ClientError, ConnectionError):
                    self.num_drops += 1
                    await asyncio.sleep(PAUSE_S)

    async def _one_socket(self, is_enough: Callable[[Held], bool], say: Callable[[Held], Frame | None]) -> None:
        websocket = await self.connect()
        sent: set[str] = set()
        try:
            while not is_enough(self.held):
                message = say(self.held)
                if message is not None and message["client_msg_id"] not in sent and self.held.conversation_id:
                    sent.add(message["client_msg_id"])
                    await self.send("message", **message)
                frame = await self.receive()
                self.held.see(frame)
                if frame["type"] == "busy":
                    await asyncio.sleep(PAUSE_S)
                    sent.discard(frame["data"]["client_msg_id"])
        finally:
            abort(websocket)

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """A socket that has said hello. Raises `aiohttp.ClientError` where there is no server just now."""
        token = await self._token()
        self._websocket = await self._http.ws_connect(f"{self.url}/v1/ws", max_msg_size=0)
        try:
            await self.send("hello", token=token, **self.held.hello())
        except ConnectionError:
            abort(self._websocket)
            raise
        return self._websocket

    async def send(self, kind: str, **fields: object) -> None:
        assert self._websocket is not None
        await self._websocket.send_str(json.dumps({"type": kind, **fields}))

    async def receive(self) -> Frame:
        """The next frame. Raises `ConnectionError` where the socket has ended."""
        assert self._websocket is not None
        message = await self._websocket.receive(timeout=PATIENCE_S)
        if message.type is not WSMsgType.TEXT:
            raise ConnectionError(f"closed with {self._websocket.close_code}")
        return dict(json.loads(message.data))

    def drop(self) -> None:
        """Break the connection without a word."""
        assert self._websocket is not None
        abort(self._websocket)

    async def _token(self) -> str:
        async with self._http.post(f"{self.url}/v1/visitor-tokens", json=self.identity) as response:
            response.raise_for_status()
            answer = await response.json()
        if "visitor_secret" in answer:
            self.identity = {key: answer[key] for key in ("visitor_id", "visitor_secret")}
        return str(answer["token"])


def abort(websocket: aiohttp.ClientWebSocketResponse) -> None:
    """End the connection as a lost network does."""
    connection = websocket._response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    websocket._response.close()  # also where the server has ended it meanwhile: aiohttp warns of what is left open
