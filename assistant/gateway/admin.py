"""Endpoints for operators and for the commands on this machine: the index, and single entries of the FAQ.

Only with the admin key, and then never from a page, or for people logged in whose role may. Edits and refreshes run one
at a time on a thread; bounds: `MAX_WAITING` of them wait, each answers within `REFRESH_TIMEOUT_S` or goes on unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from assistant.errors import KnowledgeError, StorageError, UnknownEntry
from assistant.gateway.knowledge import Admin, Changes
from assistant.gateway.operators import admit_operator
from assistant.gateway.protocol import Refusal, load_object, validate
from assistant.gateway.rest import BODY_TIMEOUT_S
from assistant.gateway.roles import Permission

MAX_WAITING = 8
REFRESH_TIMEOUT_S = 600.0
RETRY_MS = 5_000


class EntryBody(BaseModel):
    """The body of ``PUT /v1/admin/entries/{lang}/{id}``; the editor knows the limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    answer: str
    wordings: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class AdminRoutes:
    """The handlers; edits and refreshes queue here."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Changes]] = set()

    async def close(self, _: web.Application) -> None:
        """Wait for what runs; a thread cannot be stopped."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def routes(self) -> list[web.RouteDef]:
        """Where the handlers are found."""
        entry = "/v1/admin/entries/{lang}/{id:.+}"
        return [
            web.get("/v1/admin/index", self.get_index),
            web.post("/v1/admin/index", self.post_index),
            web.put(entry, self.put_entry),
            web.delete(entry, self.delete_entry),
        ]

    async def get_index(self, request: web.Request) -> web.Response:
        """What is served, and what was left out."""
        await self.admit(request, "knowledge.read")
        return web.json_response(self._admin.knowledge.status())

    async def post_index(self, request: web.Request) -> web.Response:
        """Take up what has changed in the files."""
        await self.admit(request, "knowledge.edit")
        return await self._run(self._admin.knowledge.refresh)

    async def put_entry(self, request: web.Request) -> web.Response:
        """Add or replace one entry."""
        await self.admit(request, "knowledge.edit")
        lang, entry_id, tenant = _named(request)
        body = validate(EntryBody, load_object(await _text(request)))
        return await self._run(
            lambda: self._admin.knowledge.put_entry(
                lang,
                entry_id,
                question=body.question,
                answer=body.answer,
                wordings=body.wordings,
                tags=body.tags,
                tenant=tenant,
            )
        )

    async def delete_entry(self, request: web.Request) -> web.Response:
        """Take one entry away."""
        await self.admit(request, "knowledge.edit")
        lang, entry_id, tenant = _named(request)
        return await self._run(lambda: self._admin.knowledge.remove_entry(lang, entry_id, tenant=tenant))

    async def admit(self, request: web.Request, permission: Permission = "server.operate") -> None:
        """Raises `Refusal` for whoever has neither the admin key nor a login whose role has the permission."""
        await admit_operator(request, key=self._admin.key, permission=permission)

    async def _run(self, work: Callable[[], Changes]) -> web.Response:
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S):
                changes = await asyncio.shield(self._queue(work))  # a client that leaves stops no thread
        except TimeoutError as error:
            raise Refusal("timeout", f"It is not done after {REFRESH_TIMEOUT_S:.0f} s and goes on.") from error
        except UnknownEntry as error:
            raise Refusal("not_found", str(error)) from error
        except KnowledgeError as error:
            raise Refusal("bad_request", str(error)) from error
        except StorageError as error:
            raise Refusal("not_stored", str(error)) from error
        return web.json_response(changes.as_record())

    def _queue(self, work: Callable[[], Changes]) -> asyncio.Task[Changes]:
        if len(self._tasks) > MAX_WAITING:
            raise Refusal(
                "rate_limited", f"{MAX_WAITING} edits wait already.", fix="Try again later.", retry_after_ms=RETRY_MS
            )
        task = asyncio.create_task(self._in_turn(work))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def _in_turn(self, work: Callable[[], Changes]) -> Changes:
        async with self._turn:
            return await asyncio.to_thread(work)

    def _forget(self, task: asyncio.Task[Changes]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting for it any more


def _named(request: web.Request) -> tuple[str, str, str]:
    """Language, id and tenant. An id may hold ``/`` and ``#``, percent-encoded."""
    return request.match_info["lang"], request.match_info["id"], request.query.get("tenant", "")


async def _text(request: web.Request) -> str:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return (await request.read()).decode("utf-8")
    except TimeoutError as error:
        raise Refusal("timeout", f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s.") from error
    except UnicodeDecodeError as error:
        raise Refusal("not_json", "The body is not UTF-8.", fix="Send JSON in UTF-8.") from error
