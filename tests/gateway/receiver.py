"""A company's own system that takes webhooks, as its programmers would write it, and does what the test says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_S = 10
Answer = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]


async def ok(_: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=204)


async def hangs(_: dict[str, Any]) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


def answers(status: int, **headers: str) -> Answer:
    async def answer(_: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return answer


@dataclass
class Receiver:
    """Every request is checked and kept in ``came``; ``took`` has what was answered with success."""

    url: str = ""
    answer: Answer = ok
    came: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    took: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        verify(request, body)
        webhook = json.loads(body) | {"id": request.headers["webhook-id"]}
        self.came.put_nowait(webhook)
        response = await self.answer(webhook)
        if response.status < 300:
            self.took.append(webhook)
        return response

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.came.get()

    async def until(self, num: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(num)]

    def settings(self, name: str = "shop", **more: object) -> dict[str, object]:
        return {"name": name, "url": self.url, "secret_env": "HOOK_SECRET", "allow_private": True, **more}


def verify(request: web.Request, body: bytes) -> None:
    """The receiver's side of the specification, written from it and not from our code."""
    key = base64.b64decode(SECRET.split("_", 1)[1])
    signed = b".".join([request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), body])
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert wanted in request.headers["webhook-signature"].split(" ")


@asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None, shutdown_timeout=0.1)
    receiver.url = str(server.make_url("/hook"))
    try:
        yield receiver
    finally:
        await server.close()
