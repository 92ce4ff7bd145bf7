"""Closes the sockets of visitors who may come in no more, whichever process or command erased or revoked them.

Every `LOOK_S` the database is asked about the visitors who have sockets here, `MAX_ASKED` of them at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NoReturn

import structlog
from aiohttp import web

from assistant.faults import report
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import CloseCode

LOOK_S = 2.0
MAX_ASKED = 500

log = structlog.get_logger()


async def closing_revoked(app: web.Application) -> AsyncIterator[None]:
    """Look for as long as the application runs (`cleanup_ctx`)."""
    task = asyncio.create_task(_look_forever(app[GATEWAY]))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _look_forever(gateway: Gateway) -> NoReturn:
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await close_revoked(gateway)
        except Exception as error:  # a database that is away for a while must not end the looking
            report("revoking_failed", error)


async def close_revoked(gateway: Gateway) -> None:
    """Ask about everybody who has a socket here, and close those of the revoked."""
    theirs = gateway.sockets.visitor_ids
    for first in range(0, len(theirs), MAX_ASKED):
        for visitor_id in await gateway.parts.visitors.revoked_among(theirs[first : first + MAX_ASKED]):
            log.info("visitor_revoked", visitor_id=visitor_id, sockets=gateway.sockets.num_of(visitor_id))
            await gateway.sockets.end_visitor(visitor_id, CloseCode.AUTH, within_s=0)
