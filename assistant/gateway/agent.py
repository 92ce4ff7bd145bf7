"""One agent's websocket from the upgrade to the close: hello, token, then the talk.

The tokens come from `accounts`. Bounds: as a visitor's socket, by address and by account.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

import structlog
from aiohttp import hdrs, web

from assistant.conversation.agent_sessions import AgentSession
from assistant.faults import report
from assistant.gateway import frames
from assistant.gateway.agent_protocol import AgentHello, parse_agent, permissions_for
from assistant.gateway.agent_session import AgentTalk
from assistant.gateway.desk import Desk
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import CloseCode, Refusal
from assistant.gateway.roles import require
from assistant.gateway.staff import Staff
from assistant.gateway.wire import Ended, Wire

log = structlog.get_logger()


async def run_agent_socket(request: web.Request, gateway: Gateway, staff: Staff, desk: Desk) -> web.WebSocketResponse:
    """Upgrade the request and talk until the end. Raises `Refusal` before the upgrade."""
    address = gateway.address(request)
    await gateway.limits.handshake(address)
    with gateway.sockets.admit(address):
        async with gateway.places.admit(address):
            wire = Wire(request, gateway.parts.settings.gateway)
            await wire.websocket.prepare(request)
            socket = AgentSocket(gateway, staff, desk, wire, origin=request.headers.get(hdrs.ORIGIN))
            with gateway.sockets.opened(socket), gateway.metrics.sockets.track_inprogress():
                await socket.run()
            return wire.websocket


class AgentSocket:
    """An open socket and its ends: the agent leaves or is let in no more, breaks the rules, or we shut down."""

    def __init__(self, gateway: Gateway, staff: Staff, desk: Desk, wire: Wire, *, origin: str | None) -> None:
        self._gateway = gateway
        self._staff = staff
        self._desk = desk
        self._wire = wire
        self._origin = origin
        self._end: asyncio.Future[CloseCode] = asyncio.get_running_loop().create_future()

    def end(self, code: CloseCode) -> None:
        """Ask it to close; returns at once."""
        if not self._end.done():
            self._end.set_result(code)

    async def run(self) -> None:
        """Talk until somebody ends it, then close. Never raises but for cancellation."""
        code: CloseCode | None = CloseCode.BROKEN
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._until_asked_to_end())
                await self._talk(tasks)
        except* Ended as ends:
            code = next((end.code for end in ends.exceptions if isinstance(end, Ended)), None)
        except* Exception as faults:
            for fault in faults.exceptions:
                report("agent_socket_broken", fault)
        closed_with = await self._wire.close(code)
        self._gateway.metrics.sockets_closed.labels(str(closed_with)).inc()

    async def _until_asked_to_end(self) -> NoReturn:
        raise Ended(await self._end)

    async def _talk(self, tasks: asyncio.TaskGroup) -> None:
        hello = await self._hello()
        session = await self._redeem(hello)
        talk = AgentTalk(self._gateway, self._staff, self._desk, self._wire, session, end=self.end)
        with self._gateway.sockets.joined(self, session.agent.agent_id), self._desk.joined(talk):
            log.info("agent_socket_opened", agent_id=session.agent.agent_id, session_id=session.session_id)
            tasks.create_task(talk.write())
            try:
                await talk.read()
            finally:
                talk.close()

    async def _hello(self) -> AgentHello:
        settings = self._gateway.parts.settings.gateway
        try:
            async with asyncio.timeout(settings.hello_timeout_s):
                command = parse_agent(await self._wire.receive(), max_text_chars=settings.max_text_chars)
        except TimeoutError as late:
            raise Ended(CloseCode.IDLE) from late
        except Refusal as refusal:
            await self._refuse(refusal)
        if not isinstance(command, AgentHello):
            await self._refuse(Refusal("hello_expected", "The first frame must be a hello.", fix="Send one first."))
        return command

    async def _redeem(self, hello: AgentHello) -> AgentSession:
        ticket = await self._staff.sessions.redeem(hello.token)
        if ticket is None:
            unknown = "The token is unknown, used or expired."
            await self._refuse(Refusal("unauthorized", unknown, fix="Get a new one from /v1/agent/token."))
        if ticket.origin != self._origin:
            wrong, code = "The token was made for a page of another origin.", CloseCode.ORIGIN
            await self._refuse(Refusal("wrong_origin", wrong, fix="Get it on the page that connects.", close_code=code))
        try:
            for permission in permissions_for(hello):
                require(ticket.session.agent.role, permission)
        except Refusal as refusal:
            await self._refuse(refusal)
        return ticket.session

    async def _refuse(self, refusal: Refusal) -> NoReturn:
        self._gateway.metrics.refused.labels(refusal.code).inc()
        await self._wire.send(frames.error(refusal, None))
        raise Ended(CloseCode(refusal.close_code or CloseCode.AUTH))
