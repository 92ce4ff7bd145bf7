"""One agent's websocket from the upgrade to the close: hello, token, then the talk.

The tokens come from `accounts`. Bounds: as a visitor's socket, by address and by account.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import hdrs, web

from assistant.conversation.agent_sessions import AgentSession
from assistant.gateway.agent_protocol import AgentHello, parse_agent, permissions_for
from assistant.gateway.agent_session import AgentTalk
from assistant.gateway.desk import Desk
from assistant.gateway.handshake import Handshake, upgraded
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import CloseCode, Refusal
from assistant.gateway.roles import require
from assistant.gateway.staff import Staff
from assistant.gateway.wire import Wire

log = structlog.get_logger()


async def run_agent_socket(request: web.Request, gateway: Gateway, staff: Staff, desk: Desk) -> web.WebSocketResponse:
    """Upgrade the request and talk until the end. Raises `Refusal` before the upgrade."""
    async with upgraded(request, gateway) as wire:
        await AgentSocket(gateway, staff, desk, wire, origin=request.headers.get(hdrs.ORIGIN)).run()
        return wire.websocket


class AgentSocket:
    """An open socket: who comes with which token, and the talk with them."""

    def __init__(self, gateway: Gateway, staff: Staff, desk: Desk, wire: Wire, *, origin: str | None) -> None:
        self._gateway = gateway
        self._staff = staff
        self._desk = desk
        self._wire = wire
        self._origin = origin
        self._handshake = Handshake(gateway, wire)

    def end(self, code: CloseCode) -> None:
        """Ask it to close; returns at once."""
        self._handshake.end(code)

    async def run(self) -> None:
        """Talk until somebody ends it, then close. Never raises but for cancellation."""
        await self._handshake.run(self, self._talk, fault="agent_socket_broken")

    async def _talk(self, tasks: asyncio.TaskGroup) -> None:
        hello = await self._handshake.hello(parse_agent, AgentHello)
        session = await self._redeem(hello)
        talk = AgentTalk(self._gateway, self._staff, self._desk, self._wire, session, end=self.end)
        with self._gateway.sockets.joined(self, session.agent.agent_id), self._desk.joined(talk):
            log.info("agent_socket_opened", agent_id=session.agent.agent_id, session_id=session.session_id)
            tasks.create_task(talk.write())
            try:
                await talk.read()
            finally:
                talk.close()

    async def _redeem(self, hello: AgentHello) -> AgentSession:
        ticket = await self._staff.sessions.redeem(hello.token)
        if ticket is None:
            unknown = "The token is unknown, used or expired."
            await self._handshake.refuse(Refusal("unauthorized", unknown, fix="Get a new one from /v1/agent/token."))
        if ticket.origin != self._origin:
            wrong, code = "The token was made for a page of another origin.", CloseCode.ORIGIN
            await self._handshake.refuse(
                Refusal("wrong_origin", wrong, fix="Get it on the page that connects.", close_code=code)
            )
        try:
            for permission in permissions_for(hello):
                require(ticket.session.agent.role, permission)
        except Refusal as refusal:
            await self._handshake.refuse(refusal)
        return ticket.session
