"""One visitor's websocket from the upgrade to the close: hello, token, where to take up, then the session."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from aiohttp import hdrs, web

from assistant.dialogue.manager import Speaker
from assistant.gateway.addresses import networks_of
from assistant.gateway.auth import Ticket
from assistant.gateway.handshake import Handshake, upgraded
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import CloseCode, Hello, Refusal, parse
from assistant.gateway.resume import Resumption, resume
from assistant.gateway.session import Session
from assistant.gateway.wire import Wire

log = structlog.get_logger()


async def visitor_socket(request: web.Request) -> web.WebSocketResponse:
    """``GET /v1/ws``: a visitor's socket. Raises `Refusal` before the upgrade."""
    gateway = request.app[GATEWAY]
    async with upgraded(request, gateway) as wire:
        networks = networks_of(gateway.address(request))
        await VisitorSocket(gateway, wire, origin=request.headers.get(hdrs.ORIGIN), networks=networks).run()
        return wire.websocket


class VisitorSocket:
    """An open socket: who comes with which token, and the talk with them."""

    def __init__(self, gateway: Gateway, wire: Wire, *, origin: str | None, networks: tuple[str, ...]) -> None:
        self._gateway = gateway
        self._wire = wire
        self._origin = origin
        self._networks = networks
        self._handshake = Handshake(gateway, wire)
        self._session: Session | None = None
        self._is_retiring = False

    def end(self, code: CloseCode) -> None:
        """Ask it to close; returns at once.

        Asked the first time because the server goes away, it closes once what is being answered is answered and sent.
        """
        if code is CloseCode.DRAINING and self._session is not None and not self._is_retiring:
            self._is_retiring = True
            self._session.retire()
        else:
            self._handshake.end(code)

    async def run(self) -> None:
        """Talk until somebody ends it, then close. Never raises but for cancellation."""
        await self._handshake.run(self, self._talk, fault="socket_broken")

    async def _talk(self, tasks: asyncio.TaskGroup) -> None:
        hello = await self._handshake.hello(parse, Hello)
        ticket = await self._redeem(hello)
        locale = hello.locale or ticket.locale
        gateway, visitor = self._gateway, ticket.visitor
        resumption = await resume(gateway.parts.log, visitor, hello, locale=locale)
        place = resumption.head.conversation_id
        who = (place, visitor.visitor_id, visitor.tenant)
        speaker = Speaker(*who, locale, user_id=gateway.identities.user_id(visitor), networks=self._networks)
        joined = gateway.sockets.joined(self, visitor.visitor_id)
        async with gateway.places.joined(visitor.visitor_id, partial(self.end, CloseCode.REPLACED)):
            with joined, gateway.parts.bus.watch(place) as wake:
                self._log_opened(speaker, resumption)
                self._session = Session(gateway, self._wire, speaker, resumption, wake=wake, device=ticket.device)
                tasks.create_task(self._session.write())
                await self._session.read()

    async def _redeem(self, hello: Hello) -> Ticket:
        try:
            ticket = await self._gateway.tickets.redeem(hello.token, origin=self._origin)
            await self._refuse_revoked(ticket)
            return ticket
        except Refusal as refusal:
            await self._handshake.refuse(refusal)

    async def _refuse_revoked(self, ticket: Ticket) -> None:
        """Raises `Refusal` where the visitor may come in no more: signed in, or erased, since the token was made."""
        if await self._gateway.parts.visitors.revoked_among([ticket.visitor.visitor_id]):
            gone = "The visitor is no longer known."
            raise Refusal("unauthorized", gone, fix="Get a new token.", close_code=CloseCode.AUTH)

    def _log_opened(self, speaker: Speaker, resumption: Resumption) -> None:
        log.info(
            "socket_opened",
            conversation_id=speaker.conversation_id,
            visitor_id=speaker.visitor_id,
            after_seq=resumption.after_seq,
            last_seq=resumption.head.last_seq,
            failure=resumption.failure,
        )
