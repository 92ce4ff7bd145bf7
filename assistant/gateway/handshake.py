"""What every socket begins and ends with, a visitor's and an agent's: the upgrade, the hello, and one way to close.

Bounds: ``handshakes_per_minute`` and ``sockets_per_address``; the hello comes within ``hello_timeout_s``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn, Protocol, TypeVar

from aiohttp import web

from assistant.faults import report
from assistant.gateway import frames
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import CloseCode, Frame, Refusal
from assistant.gateway.sockets import Closable
from assistant.gateway.wire import Ended, Wire

HelloFrame = TypeVar("HelloFrame", bound=Frame)


class Parse(Protocol):
    """Makes a command of a frame; raises `Refusal`."""

    def __call__(self, raw: str, *, max_text_chars: int) -> Frame:
        """The command."""


@asynccontextmanager
async def upgraded(request: web.Request, gateway: Gateway) -> AsyncIterator[Wire]:
    """The request as a websocket, counted for its address while this lasts. Raises `Refusal` before the upgrade."""
    address = gateway.address(request)
    await gateway.limits.handshake(address)
    with gateway.sockets.admit(address):
        async with gateway.places.admit(address):
            wire = Wire(request, gateway.parts.settings.gateway)
            await wire.websocket.prepare(request)
            yield wire


class Handshake:
    """One open socket's first frame and its ends: its client leaves or breaks the rules, or we ask it to close."""

    def __init__(self, gateway: Gateway, wire: Wire) -> None:
        self._gateway = gateway
        self._wire = wire
        self._end: asyncio.Future[CloseCode] = asyncio.get_running_loop().create_future()

    def end(self, code: CloseCode) -> None:
        """Ask the socket to close; returns at once."""
        if not self._end.done():
            self._end.set_result(code)

    async def run(self, socket: Closable, talk: Callable[[asyncio.TaskGroup], Awaitable[None]], *, fault: str) -> None:
        """Talk until somebody ends it, then close; what breaks is reported as ``fault``, and nothing is raised."""
        with self._gateway.sockets.opened(socket), self._gateway.metrics.sockets.track_inprogress():
            code: CloseCode | None = CloseCode.BROKEN
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._until_asked_to_end())
                    await talk(tasks)
            except* Ended as ends:
                code = next((end.code for end in ends.exceptions if isinstance(end, Ended)), None)
            except* Exception as faults:
                for error in faults.exceptions:
                    report(fault, error)
            closed_with = await self._wire.close(code)
            self._gateway.metrics.sockets_closed.labels(str(closed_with)).inc()

    async def hello(self, parse: Parse, wanted: type[HelloFrame]) -> HelloFrame:
        """The first frame. Raises `Ended` where it is late or another."""
        settings = self._gateway.parts.settings.gateway
        try:
            async with asyncio.timeout(settings.hello_timeout_s):
                command = parse(await self._wire.receive(), max_text_chars=settings.max_text_chars)
        except TimeoutError as late:
            raise Ended(CloseCode.IDLE) from late
        except Refusal as refusal:
            await self.refuse(refusal)
        if not isinstance(command, wanted):
            await self.refuse(Refusal("hello_expected", "The first frame must be a hello.", fix="Send one first."))
        return command

    async def refuse(self, refusal: Refusal) -> NoReturn:
        """Say why nobody is let in, and close."""
        self._gateway.metrics.refused.labels(refusal.code).inc()
        await self._wire.send(frames.error(refusal, None))
        raise Ended(CloseCode(refusal.close_code or CloseCode.AUTH))

    async def _until_asked_to_end(self) -> NoReturn:
        raise Ended(await self._end)
