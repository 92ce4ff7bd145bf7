"""Agents as clients of the running server: they log in, open sockets, and remember every frame."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assistant.conversation.events import AgentRole
from tests.gateway.rig import Rig, SocketClient

PASSWORD = "a sentence to remember"


class AgentClient:
    """Somebody with an account."""

    def __init__(self, rig: Rig, email: str) -> None:
        self.rig = rig
        self.email = email
        self.agent_id = ""
        self.session = ""

    async def post(self, path: str, *, session: str | None = None, **body: object) -> tuple[int, dict[str, Any]]:
        session = self.session if session is None else session
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        async with self.rig.http.post(self.rig.url(path), json=body, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str, **query: object) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.session}"}
        params = {name: str(value) for name, value in query.items()}
        async with self.rig.http.get(self.rig.url(path), params=params, headers=headers) as response:
            return response.status, await response.json()

    async def login(self, password: str = PASSWORD) -> dict[str, Any]:
        status, answer = await self.post("/v1/agent/login", session="", email=self.email, password=password)
        assert status == 200, answer
        self.session, self.agent_id = answer["session"], answer["agent"]["agent_id"]
        return answer

    async def token(self) -> str:
        status, answer = await self.post("/v1/agent/token")
        assert status == 200, answer
        return str(answer["token"])

    async def upgrade(self, **headers: str) -> AgentSocket:
        return AgentSocket(await self.rig.http.ws_connect(self.rig.url("/v1/agent/ws"), headers=headers))

    async def join(self) -> AgentSocket:
        """A socket that has its welcome and the list."""
        socket = await self.upgrade()
        await socket.send("hello", token=await self.token())
        await socket.next("welcome")
        await socket.next("conversations")
        return socket


class AgentSocket(SocketClient):
    """One websocket of an agent and every frame it was sent."""

    side = "agent"

    async def ask(self, kind: str, conversation_id: str, **fields: object) -> dict[str, Any]:
        """Send a frame and give the ``ack`` or ``error`` that answers it."""
        await self.send(kind, conversation_id=conversation_id, **fields)
        while True:
            frame = await self.next()
            if frame["type"] in ("ack", "error") and frame["data"].get("command") == kind:
                return frame

    async def did(self, kind: str, conversation_id: str, **fields: object) -> dict[str, Any]:
        """Send a frame that must succeed; gives the ``ack``'s data."""
        answer = await self.ask(kind, conversation_id, **fields)
        assert answer["type"] == "ack", answer
        return answer["data"]

    async def refused(self, kind: str, conversation_id: str, **fields: object) -> dict[str, Any]:
        """Send a frame that must fail; gives the ``error``'s data."""
        answer = await self.ask(kind, conversation_id, **fields)
        assert answer["type"] == "error", answer
        return answer["data"]

    async def watch(self, conversation_id: str, **fields: object) -> None:
        await self.send("subscribe", conversation_id=conversation_id, **fields)
        await self.until("resumed")

    async def until_listed(self, conversation_id: str, **fields: object) -> dict[str, Any]:
        """The list's entry of this conversation once it has these fields."""
        while True:
            frame = await self.until("conversations")
            for entry in frame["data"]["conversations"]:
                if entry["conversation_id"] == conversation_id and fields.items() <= entry.items():
                    return entry

    def positions(self, conversation_id: str) -> list[int]:
        return [
            frame["position"]
            for frame in self.frames
            if "position" in frame and frame["conversation_id"] == conversation_id
        ]


async def hire(rig: Rig, name: str = "Mia", role: AgentRole = "agent", *, tenants: Collection[str] = ()) -> AgentClient:
    """An account, logged in."""
    assert rig.parts.staff is not None
    client = AgentClient(rig, f"{name.lower()}@shop.example")
    await rig.parts.staff.agents.add(client.email, PASSWORD, role=role, name=name, tenants=tenants)
    await client.login()
    return client


async def customer(rig: Rig, text: str = "How long can I return an item?", **visitor: object) -> SocketClient:
    """A customer whose first question is answered."""
    socket = await (await rig.visitor(**visitor)).join()
    await socket.say(text, "first")
    await socket.until_answered()
    return socket
