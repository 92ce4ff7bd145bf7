"""One visitor's websocket from the upgrade to the close: hello, token, where to take up, then the session."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NoReturn

import structlog
from aiohttp import web

from assistant.dialogue.manager import Speaker
from assistant.faults import report
from assistant.gateway import frames
from assistant.gateway.auth import Ticket
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import CloseCode, Hello, Refusal, parse
from assistant.gateway.resume import Resumption, resume
from assistant.gateway.session import Session
from assistant.gateway.wire import Ended, Wire

log = structlog.get_logger()


async def visitor_socket(request: web.Request) -> web.WebSocketResponse:
    """``GET /v1/ws``: a visitor's socket. Raises `Refusal` before the upgrade."""
    gateway = request.app[GATEWAY]
    address = gateway.address(request)
    await gateway.limits.handshake(address)
    with gateway.sockets.admit(address):
        async with gateway.places.admit(address):
            return await _run(gateway, request)


async def _run(gateway: Gateway, request: web.Request) -> web.WebSocketResponse:
    wire = Wire(request, gateway.parts.settings.gateway)
    await wire.websocket.prepare(request)
    socket = VisitorSocket(gateway, wire, origin=request.headers.get("Origin"))
    with gateway.sockets.opened(socket), gateway.metrics.sockets.track_inprogress():
        await socket.run()
    return wire.websocket


class VisitorSocket:
    """An open socket and its ends: the visitor leaves, breaks the rules, is replaced, or we shut down."""

    def __init__(self, gateway: Gateway, wire: Wire, *, origin: str | None) -> None:
        self._gateway = gateway
        self._wire = wire
        self._origin = origin
        self._end: asyncio.Future[CloseCode] = asyncio.get_running_loop().create_future()
        self._session: Session | None = None
        self._is_retiring = False

    def end(self, code: CloseCode) -> None:
        """Ask it to close; returns at once.

        Asked the first time because the server goes away, it closes once what is being answered is answered and sent.
        """
        if code is CloseCode.DRAINING and self._session is not None and not self._is_retiring:
            self._is_retiring = True
            self._session.retire()
        elif not self._end.done():
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
                report("socket_broken", fault)
        closed_with = await self._wire.close(code)
        self._gateway.metrics.sockets_closed.labels(str(closed_with)).inc()

    async def _until_asked_to_end(self) -> NoReturn:
        raise Ended(await self._end)

    async def _talk(self, tasks: asyncio.TaskGroup) -> None:
        hello = await self._hello()
        ticket = await self._redeem(hello)
        locale = hello.locale or ticket.locale
        gateway = self._gateway
        resumption = await resume(gateway.parts.log, gateway.reservations, ticket.visitor, hello, locale=locale)
        conversation_id, visitor = resumption.head.conversation_id, ticket.visitor
        speaker = Speaker(conversation_id, visitor.visitor_id, visitor.tenant, locale)
        joined = gateway.sockets.joined(self, visitor.visitor_id)
        async with gateway.places.joined(visitor.visitor_id, partial(self.end, CloseCode.REPLACED)):
            with joined, gateway.parts.bus.watch(conversation_id) as wake:
                self._log_opened(speaker, resumption)
                self._session = Session(gateway, self._wire, speaker, resumption, wake=wake)
                tasks.create_task(self._session.write())
                await self._session.read()

    async def _hello(self) -> Hello:
        settings = self._gateway.parts.settings.gateway
        try:
            async with asyncio.timeout(settings.hello_timeout_s):
                command = parse(await self._wire.receive(), max_text_chars=settings.max_text_chars)
        except TimeoutError as late:
            raise Ended(CloseCode.IDLE) from late
        except Refusal as refusal:
            await self._refuse(refusal)
        if not isinstance(command, Hello):
            await self._refuse(Refusal("hello_expected", "The first frame must be a hello.", fix="Send one first."))
        return command

    async def _redeem(self, hello: Hello) -> Ticket:
        try:
            return await self._gateway.tickets.redeem(hello.token, origin=self._origin)
        except Refusal as refusal:
            await self._refuse(refusal)

    async def _refuse(self, refusal: Refusal) -> NoReturn:
        self._gateway.metrics.refused.labels(refusal.code).inc()
        await self._wire.send(frames.error(refusal, None))
        raise Ended(CloseCode(refusal.close_code or CloseCode.AUTH))

    def _log_opened(self, speaker: Speaker, resumption: Resumption) -> None:
        log.info(
            "socket_opened",
            conversation_id=speaker.conversation_id,
            visitor_id=speaker.visitor_id,
            after_seq=resumption.after_seq,
            last_seq=resumption.head.last_seq,
            failure=resumption.failure,
        )
