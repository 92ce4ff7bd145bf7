"""Erasing visitors for operators and for the commands on this machine, and the job that erases what is too old.

Only with the admin key, as the other admin endpoints. Bounds: `QUIET_S` for a visitor's sockets to close,
`MAX_WAITING` erasures wait for each other; at shutdown they have `LAST_S`, and the next start finishes the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from aiohttp import web

from assistant.conversation.events import ConversationId
from assistant.errors import StorageError, UnknownVisitor
from assistant.gateway.parts import Gateway
from assistant.gateway.protocol import CloseCode, Refusal
from assistant.privacy.erasure import Erasure
from assistant.privacy.parts import Privacy
from assistant.privacy.retention import Retention, cutoff

QUIET_S = 10.0
MAX_WAITING = 8
LAST_S = 1.0
RETRY_MS = 5_000

Admit = Callable[[web.Request], Awaitable[None]]

log = structlog.get_logger()


class PrivacyRoutes:
    """The handlers, and the job. ``admit`` raises `Refusal` for whoever has not the admin key."""

    def __init__(self, gateway: Gateway, privacy: Privacy, *, admit: Admit) -> None:
        self._gateway = gateway
        self._admit = admit
        self._days = privacy.retention_days
        self._eraser = privacy.eraser(self._quiet)
        self._retention = Retention(self._eraser, days=privacy.retention_days)
        self._tasks: set[asyncio.Task[Erasure]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Where the handlers are found."""
        visitor = "/v1/admin/privacy/visitors/{visitor_id}"
        return [
            web.get(visitor, self.get_visitor),
            web.delete(visitor, self.delete_visitor),
            web.post("/v1/admin/privacy/retention", self.post_retention),
        ]

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The job, for as long as the application runs (`cleanup_ctx`); erasures that run are broken off after it."""
        task = asyncio.create_task(self._retention.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self._end_running()

    async def get_visitor(self, request: web.Request) -> web.Response:
        """What this process has in memory of a visitor; what is stored, `assistant privacy export` reads itself."""
        await self._admit(request)
        visitor_id = request.match_info["visitor_id"]
        return web.json_response({"visitor_id": visitor_id, "num_sockets": self._gateway.sockets.num_of(visitor_id)})

    async def delete_visitor(self, request: web.Request) -> web.Response:
        """Erase a visitor."""
        await self._admit(request)
        visitor_id = request.match_info["visitor_id"]
        erasure = await self._run(self._eraser.erase(visitor_id))
        self._retention.look_again_soon()
        log.info("visitor_erased", visitor_id=visitor_id, events=erasure.num_events, whole=erasure.is_whole)
        return web.json_response(erasure.as_record())

    async def post_retention(self, request: web.Request) -> web.Response:
        """Erase now what is too old."""
        await self._admit(request)
        if not self._days:
            raise Refusal("bad_request", "Conversations are kept.", fix="Set [privacy] retention_days.")
        erasure = await self._run(self._eraser.retain(cutoff(self._days)))
        return web.json_response(erasure.as_record())

    async def _run(self, work: Awaitable[Erasure]) -> Erasure:
        """Do it to the end, though the client leave. Raises `Refusal`."""
        if len(self._tasks) >= MAX_WAITING:
            raise Refusal(
                "rate_limited", f"{MAX_WAITING} erasures wait already.", fix="Try again.", retry_after_ms=RETRY_MS
            )
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except UnknownVisitor as error:
            raise Refusal("not_found", str(error)) from error
        except StorageError as error:
            raise Refusal("not_stored", str(error)) from error

    async def _end_running(self) -> None:
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _quiet(self, visitor_id: str, conversation_ids: Sequence[str]) -> None:
        """Close the visitor's sockets and end their turns, so that nothing more is written."""
        if not await self._gateway.sockets.end_visitor(visitor_id, CloseCode.AUTH, within_s=QUIET_S):
            log.warning("sockets_left_open", sockets=self._gateway.sockets.num_of(visitor_id))
        for conversation_id in conversation_ids:
            await self._gateway.parts.manager.end_turns(ConversationId(conversation_id))
