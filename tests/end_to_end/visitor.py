"""A customer's browser without the browser: the wire protocol over a real socket."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

Frame = dict[str, Any]
PATIENCE_S = 120


@dataclass
class Visitor:
    """One visitor: an identity, a conversation, and every frame it was sent."""

    url: str
    session: aiohttp.ClientSession
    identity: dict[str, str] = field(default_factory=dict)
    conversation_id: str | None = None
    epoch: int = 1
    last_seq: int = 0
    locale: str = "en"
    frames: list[Frame] = field(default_factory=list)
    socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()

    async def connect(self) -> Frame:
        """Fetch a token, connect, and resume where this visitor was."""
        body = {"locale": self.locale, **self.identity}
        async with self.session.post(f"{self.url}/v1/visitor-tokens", json=body) as response:
            assert response.status == 200, await response.text()
            issued = await response.json()
        self.identity |= {key: issued[key] for key in ("visitor_id", "visitor_secret") if key in issued}
        self.socket = await self.session.ws_connect(f"{self.url}/v1/ws")
        hello: Frame = {"type": "hello", "token": issued["token"], "locale": self.locale}
        if self.conversation_id:
            hello |= {"conversation_id": self.conversation_id, "epoch": self.epoch, "last_seq": self.last_seq}
        await self.socket.send_json(hello)
        welcome = await self.next("welcome")
        self.conversation_id, self.epoch = welcome["conversation_id"], welcome["data"]["epoch"]
        return welcome

    async def drop(self) -> None:
        """Close the socket without a word."""
        if self.socket is not None:
            await self.socket.close()

    async def next(self, *types: str) -> Frame:
        """The next frame of one of these types; the others are remembered."""
        assert self.socket is not None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame: Frame = await self.socket.receive_json()
                self.frames.append(frame)
                self.last_seq = max(self.last_seq, frame.get("seq") or 0)
                if frame["type"] in types:
                    return frame

    async def say(self, text: str) -> str:
        """Send a message; gives its client_msg_id."""
        assert self.socket is not None
        client_msg_id = uuid.uuid4().hex
        await self.socket.send_json({"type": "message", "client_msg_id": client_msg_id, "text": text})
        return client_msg_id

    async def command(self, kind: str, **fields: object) -> None:
        """Send another frame."""
        assert self.socket is not None
        await self.socket.send_json({"type": kind, **fields})

    async def answer(self) -> Frame:
        """The next final message of the assistant."""
        while True:
            frame = await self.next("message")
            if frame["data"]["author"] == "assistant":
                return frame

    async def ask(self, text: str) -> dict[str, Any]:
        """Send a message and wait for its answer."""
        await self.say(text)
        return (await self.answer())["data"]

    async def history(self, *, secret: str | None = None) -> tuple[int, Any]:
        """Status and body of the conversation's events over REST."""
        headers = {"Authorization": f"Bearer {secret or self.identity['visitor_secret']}"}
        url = f"{self.url}/v1/conversations/{self.conversation_id}/events"
        async with self.session.get(url, headers=headers) as response:
            return response.status, await response.json()
