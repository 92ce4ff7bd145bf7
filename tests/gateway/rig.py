"""The real application on a free port, with the real manager and log and a scripted answer; and its clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from assistant.conversation.agents import Agents
from assistant.conversation.api_keys import ApiKeys
from assistant.conversation.attachments import Attachments
from assistant.conversation.bus import Bus
from assistant.conversation.customers import Customers
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Event
from assistant.conversation.log import ConversationLog
from assistant.conversation.senders import ChannelSenders
from assistant.conversation.visitors import Visitors
from assistant.dialogue.draft import Sink
from assistant.dialogue.manager import DialogueManager
from assistant.dialogue.suggesting import Suggesting
from assistant.dialogue.turn import Question, Reply
from assistant.gateway.app import Parts, make_app
from assistant.gateway.doors import Doors
from assistant.gateway.knowledge import Admin
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.staff import Staff
from assistant.values import ChatMessage
from tests.gateway.published import check_sent_by_client, check_sent_by_server

PATIENCE_S = 10
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # the real one takes 64 MiB and 100 ms
Answer = Callable[[Question, Sink], Awaitable[Reply]]


def reply(text: str, **more: object) -> Reply:
    return Reply(text, "en", "composed", "the test says so", confidence=0.9, **more)  # type: ignore[arg-type]


@dataclass
class Clock:
    """Time that passes when the test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def count_words(messages: Sequence[ChatMessage]) -> int:
    """A chat model's count of tokens: one for each word, and three around each message."""
    return sum(3 + len(message["content"].split()) for message in messages)


@dataclass
class ScriptedResponder:
    """Answers in sentences; where ``holds`` is set it waits for ``go`` after each of them."""

    sentences: list[str] = field(default_factory=lambda: ["You have 30 days. ", "Shoes have 60."])
    holds: bool = False
    answer: Answer | None = None
    go: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    questions: list[str] = field(default_factory=list)
    generator: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            model_name="secret-model", adapter_name="secret-adapter", count=count_words
        )
    )

    async def respond(self, question: Question, sink: Sink) -> Reply:
        self.questions.append(question.text)
        if self.answer is not None:
            return await self.answer(question, sink)
        sink.enter("searching")
        sink.enter("writing")
        for sentence in self.sentences:
            sink.release(sentence)
            if self.holds:
                await self.go.get()
        return reply("".join(self.sentences), prompt_id="secret-prompt")


@dataclass
class Rig:
    """A running server and its parts."""

    app: web.Application
    server: TestServer
    http: aiohttp.ClientSession
    parts: Parts
    responder: ScriptedResponder
    clock: Clock
    missing: list[str]

    @property
    def gateway(self) -> Gateway:
        return self.app[GATEWAY]

    @property
    def own_origin(self) -> str:
        return f"http://{self.server.host}:{self.server.port}"

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    async def visitor(self, *, origin: str | None = None, **body: object) -> VisitorClient:
        return await VisitorClient(self, origin).meet(**body)


class VisitorClient:
    """A browser's widget, as far as the protocol goes."""

    def __init__(self, rig: Rig, origin: str | None) -> None:
        self.rig = rig
        self.headers = {"Origin": origin} if origin else {}
        self.visitor_id = ""
        self.secret = ""
        self.tenant: dict[str, object] = {}

    async def meet(self, **body: object) -> VisitorClient:
        self.tenant = {"tenant": body["tenant"]} if "tenant" in body else {}
        answer = await self.post_token(**body)
        self.visitor_id, self.secret = answer["visitor_id"], answer["visitor_secret"]
        return self

    async def post_token(self, **body: object) -> dict[str, Any]:
        async with self.rig.http.post(self.rig.url("/v1/visitor-tokens"), json=body, headers=self.headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def token(self, **body: object) -> str:
        answer = await self.post_token(visitor_id=self.visitor_id, visitor_secret=self.secret, **self.tenant, **body)
        assert "visitor_secret" not in answer
        return str(answer["token"])

    async def upgrade(self, **headers: str) -> SocketClient:
        """A socket before its hello."""
        websocket = await self.rig.http.ws_connect(self.rig.url("/v1/ws"), headers=self.headers | headers)
        return SocketClient(websocket)

    async def connect(self, **hello: object) -> SocketClient:
        """A socket after its hello was sent."""
        socket = await self.upgrade()
        await socket.send("hello", token=await self.token(), **hello)
        return socket

    async def join(self, **hello: object) -> SocketClient:
        """A socket that has caught up."""
        socket = await self.connect(**hello)
        welcome = await socket.next("welcome")
        socket.conversation_id = welcome["conversation_id"]
        await socket.until("resumed")
        return socket

    async def get_events(self, conversation_id: str, **query: object) -> aiohttp.ClientResponse:
        headers = self.headers | {"Authorization": f"Bearer {self.secret}"}
        url = self.rig.url(f"/v1/conversations/{conversation_id}/events")
        return await self.rig.http.get(url, params={k: str(v) for k, v in query.items()}, headers=headers)


class SocketClient:
    """One websocket and every frame it was sent."""

    side = "visitor"

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.conversation_id = ""
        self.frames: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: object) -> None:
        check_sent_by_client(frame := {"type": kind, **fields}, socket=self.side)
        await self.websocket.send_str(json.dumps(frame))

    async def say(self, text: str, client_msg_id: str = "a") -> None:
        await self.send("message", client_msg_id=client_msg_id, text=text)

    async def next(self, kind: str | None = None) -> dict[str, Any]:
        """The next frame, which must be of this kind."""
        message = await self.websocket.receive(timeout=PATIENCE_S)
        assert message.type is WSMsgType.TEXT, f"closed with {self.websocket.close_code}, wanted {kind}"
        frame = json.loads(message.data)
        check_sent_by_server(frame, socket=self.side)
        self.frames.append(frame)
        assert kind is None or frame["type"] == kind, f"wanted {kind}, got {frame}"
        return frame

    async def until(self, kind: str, **data: object) -> dict[str, Any]:
        """The first frame of this kind with this data; what came before is in ``frames``."""
        while True:
            frame = await self.next()
            if frame["type"] == kind and data.items() <= frame["data"].items():
                return frame

    async def until_answered(self) -> dict[str, Any]:
        return await self.until("message", author="assistant")

    async def closed(self) -> int:
        """The close code; frames on the way there are kept."""
        while True:
            message = await self.websocket.receive(timeout=PATIENCE_S)
            if message.type is WSMsgType.TEXT:
                self.frames.append(json.loads(message.data))
                continue
            assert self.websocket.close_code is not None
            return self.websocket.close_code

    async def close(self) -> None:
        await self.websocket.close()

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if "seq" in frame]

    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]


def build_parts(
    settings: Any, database: Database, responder: ScriptedResponder, missing: list[str]
) -> tuple[Parts, DialogueManager]:
    bus = Bus()
    log = ConversationLog(database, bus)
    manager = DialogueManager(log=log, bus=bus, responder=responder, settings=settings)  # type: ignore[arg-type]
    visitors = Visitors(database)
    doors = Doors(ApiKeys(database), ChannelSenders(database, visitors), responder)  # type: ignore[arg-type]
    ready, customers = lambda: list(missing), Customers(database)
    staff = Staff.over(database, agents=Agents(database, hasher=QUICK_HASHER))
    parts = Parts(settings, log, visitors, bus, manager, ready=ready, customers=customers, doors=doors, staff=staff)
    suggesting = Suggesting(log=log, responder=responder, settings=settings)  # type: ignore[arg-type]
    parts = replace(parts, attachments=Attachments(database, settings.uploads_dir), suggesting=suggesting)
    return parts, manager


async def start_rig(settings: Any, database: Database, *, admin: Admin | None = None) -> Rig:
    responder, clock, missing = ScriptedResponder(), Clock(), list[str]()
    parts, _ = build_parts(settings, database, responder, missing)
    parts = replace(parts, admin=admin)
    app = make_app(parts, clock=clock)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None)
    return Rig(app, server, aiohttp.ClientSession(), parts, responder, clock, missing)


async def stop_rig(rig: Rig) -> None:
    await rig.http.close()
    await rig.server.close()
    await rig.parts.manager.close()


async def public_events(rig: Rig, conversation_id: str) -> list[Event]:
    return await rig.parts.log.public_events(ConversationId(conversation_id))
