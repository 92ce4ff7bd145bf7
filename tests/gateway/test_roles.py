"""The table of permissions, cell by cell: as it is written, and as the running server keeps to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast, get_args

import pytest

from assistant.config import Settings
from assistant.conversation.events import AgentRole
from assistant.gateway.agent_protocol import AGENT_COMMANDS, REQUIRED
from assistant.gateway.knowledge import Admin
from assistant.gateway.protocol import CloseCode
from assistant.gateway.roles import MATRIX, Permission, Role, may, permissions_of
from tests.databases import opened
from tests.gateway.agents_rig import AgentClient, AgentSocket, customer, hire
from tests.gateway.rig import Rig, start_rig, stop_rig
from tests.gateway.test_admin import KEY, ScriptedEditor

pytestmark = pytest.mark.unit

ROLES: tuple[Role, ...] = ("visitor", "agent", "supervisor", "admin")
# Written down a second time and by hand: a change of the table must be meant.
EXPECTED: dict[Permission, str] = {
    "session.use": "-ASX",
    "conversation.list": "-ASX",
    "conversation.read": "-ASX",
    "conversation.claim": "-ASX",
    "conversation.release": "-ASX",
    "conversation.reply": "-ASX",
    "conversation.note": "-ASX",
    "conversation.label": "-ASX",
    "conversation.assign": "-ASX",
    "conversation.close": "-ASX",
    "conversation.override": "--SX",
    "knowledge.read": "--SX",
    "knowledge.edit": "---X",
    "server.operate": "---X",
}
CELLS = [
    (permission, role, mark != "-")
    for permission, row in EXPECTED.items()
    for role, mark in zip(ROLES, row, strict=True)
]


@pytest.mark.parametrize(("permission", "role", "allowed"), CELLS)
def test_every_cell_is_as_meant(permission: Permission, role: Role, allowed: bool) -> None:
    assert may(role, permission) is allowed
    assert (permission in permissions_of(role)) is allowed


def test_the_table_has_every_permission_and_no_role_but_the_four() -> None:
    assert set(EXPECTED) == set(MATRIX) == set(get_args(Permission))
    assert {role for roles in MATRIX.values() for role in roles} <= set(ROLES)
    assert {"visitor", *get_args(AgentRole)} == set(ROLES)


def test_what_the_table_does_not_know_is_denied() -> None:
    assert not may("admin", cast(Permission, "server.destroy"))
    assert not may(cast(Role, "root"), "session.use")


def test_every_frame_asks_the_table() -> None:
    assert {REQUIRED[model] for model in AGENT_COMMANDS.values()} <= set(MATRIX)
    assert set(REQUIRED) == set(AGENT_COMMANDS.values())


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    """A server with admin endpoints."""
    database = await opened(settings.log_url)
    rig = await start_rig(settings, database, admin=Admin(KEY, ScriptedEditor()))
    yield rig
    await stop_rig(rig)
    await database.close()


class Probe:
    """Somebody of one role, who tries whatever asks for a permission; each attempt gives the error's code, if any."""

    def __init__(self, client: AgentClient, socket: AgentSocket, place: str) -> None:
        self.client = client
        self.socket = socket
        self.place = place

    async def frame(self, kind: str, **fields: object) -> str | None:
        await self.socket.send(kind, conversation_id=self.place, **fields)
        await self.socket.send("ping")
        code = None
        while (frame := await self.socket.next())["type"] != "pong":
            code = frame["data"]["code"] if frame["type"] == "error" else code
        return code

    async def ping(self) -> str | None:
        await self.socket.send("ping")
        while (frame := await self.socket.next())["type"] not in ("pong", "error"):
            pass
        return frame["data"].get("code")

    async def hello(self) -> str | None:
        assert self.client.rig.parts.staff is not None
        sessions = self.client.rig.parts.staff.sessions
        session = await sessions.by_secret(self.client.session)
        assert session is not None
        socket = await self.client.upgrade()
        await socket.send("hello", token=await sessions.issue_ticket(session.session_id, origin=None, ttl_s=30))
        return (await socket.next())["data"].get("code")

    async def http(self, method: str, path: str, body: object = None) -> str | None:
        headers = {"Authorization": f"Bearer {self.client.session}"}
        url = self.client.rig.url(path)
        async with self.client.rig.http.request(method, url, json=body, headers=headers) as response:
            answer = await response.json()
            return answer["error"]["code"] if "error" in answer else None


Attempt = Callable[[Probe], Awaitable[str | None]]
ENTRY = {"question": "Do you ship to Norway?", "answer": "We do."}
# `server.operate` is for routes that name no other permission; the tests of those routes try it.
ATTEMPTS: dict[Permission, list[Attempt]] = {
    "session.use": [lambda p: p.http("POST", "/v1/agent/token"), lambda p: p.ping()],
    "conversation.list": [lambda p: p.hello()],
    "conversation.read": [
        lambda p: p.frame("subscribe"),
        lambda p: p.frame("unsubscribe"),
        lambda p: p.http("GET", f"/v1/agent/conversations/{p.place}/events"),
    ],
    "conversation.claim": [lambda p: p.frame("claim")],
    "conversation.reply": [lambda p: p.frame("reply", client_msg_id="r", text="Hello"), lambda p: p.frame("typing")],
    "conversation.note": [lambda p: p.frame("note", client_msg_id="n", text="Hm")],
    "conversation.label": [lambda p: p.frame("label", label="returns")],
    "conversation.assign": [lambda p: p.frame("assign", agent_id=p.client.agent_id)],
    "conversation.release": [lambda p: p.frame("release")],
    "conversation.close": [lambda p: p.frame("close")],
    "conversation.override": [
        lambda p: p.frame("claim", force=True),
        lambda p: p.frame("release", force=True),
        lambda p: p.frame("assign", agent_id=p.client.agent_id, force=True),
        lambda p: p.frame("close", force=True),
    ],
    "knowledge.read": [lambda p: p.http("GET", "/v1/admin/index")],
    "knowledge.edit": [
        lambda p: p.http("POST", "/v1/admin/index"),
        lambda p: p.http("PUT", "/v1/admin/entries/en/norway", ENTRY),
        lambda p: p.http("DELETE", "/v1/admin/entries/en/norway"),
    ],
}


async def let(probe: Probe) -> dict[Permission, set[bool]]:
    """For each permission, whether what asks for it is not forbidden."""
    return {
        permission: {await attempt(probe) != "forbidden" for attempt in attempts}
        for permission, attempts in ATTEMPTS.items()
    }


@pytest.mark.parametrize("role", get_args(AgentRole))
async def test_the_server_keeps_to_every_cell(rig: Rig, role: AgentRole, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await hire(rig, "Mia", role)
    probe = Probe(client, await client.join(), (await customer(rig)).conversation_id)
    written = {permission: {role in MATRIX[permission]} for permission in ATTEMPTS}
    assert await let(probe) == written
    for permission in ATTEMPTS:
        with monkeypatch.context() as changed:
            changed.setitem(MATRIX, permission, frozenset())
            assert {await attempt(probe) for attempt in ATTEMPTS[permission]} == {"forbidden"}, permission


def test_every_permission_but_the_catch_all_is_tried() -> None:
    assert set(MATRIX) - set(ATTEMPTS) == {"server.operate"}


async def test_a_visitor_gets_through_none_of_the_agents_and_admins_doors(rig: Rig) -> None:
    buyer = await rig.visitor()
    outsider = AgentClient(rig, "")
    outsider.session = buyer.secret
    probe = Probe(outsider, AgentSocket(await rig.http.ws_connect(rig.url("/v1/agent/ws"))), "c_none")
    doors = [("POST", "/v1/agent/token"), ("POST", "/v1/agent/logout"), ("GET", "/v1/agent/conversations/c/events")]
    doors += [("GET", "/v1/admin/index"), ("POST", "/v1/admin/index"), ("PUT", "/v1/admin/entries/en/x")]
    for method, path in doors:
        assert await probe.http(method, path, ENTRY if method == "PUT" else None) == "unauthorized", path
    await probe.socket.send("hello", token=await buyer.token())
    assert (await probe.socket.next("error"))["data"]["code"] == "unauthorized"
    assert await probe.socket.closed() == CloseCode.AUTH


async def test_what_spans_all_tenants_is_closed_to_who_serves_single_ones(rig: Rig) -> None:
    lead = await hire(rig, "Lea", "supervisor", tenants=["default"])
    socket = AgentSocket(await rig.http.ws_connect(rig.url("/v1/agent/ws")))
    assert await Probe(lead, socket, "").http("GET", "/v1/admin/index") == "forbidden"


async def test_a_page_uses_the_admins_doors_only_logged_in_and_only_our_own(rig: Rig) -> None:
    admin = await hire(rig, "Ada", "admin")
    url = rig.url("/v1/admin/index")
    for origin, bearer, status in (
        (rig.own_origin, admin.session, 200),
        ("https://shop.example", admin.session, 403),
        (rig.own_origin, KEY, 403),
        (rig.own_origin, "x", 403),
    ):
        headers = {"Origin": origin, "Authorization": f"Bearer {bearer}"}
        async with rig.http.get(url, headers=headers) as response:
            assert response.status == status, (origin, status)
