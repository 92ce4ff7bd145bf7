"""An answer as server-sent events, chunk by chunk, while it is made.

https://html.spec.whatwg.org/multipage/server-sent-events.html. Bounds: a chunk that the client does not take within
`SLOW_S` ends the stream; while it takes one, the text that comes meanwhile is merged into the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog
from aiohttp import hdrs, web

from assistant.faults import report
from assistant.gateway.completion import Completion, Finished
from assistant.gateway.frames import to_json
from assistant.gateway.openai_answers import (
    Head,
    JsonObject,
    assistant_object,
    chunk_object,
    error_object,
    usage_chunk_object,
)
from assistant.gateway.parts import GATEWAY
from assistant.gateway.protocol import ERROR_CODES, Refusal

SLOW_S = 15.0
SIGN_OF_LIFE_S = 10.0  # proxies cut what is silent for longer
HEADERS = {hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}

log = structlog.get_logger()


class CompletionStream:
    """One streamed answer. The end of the stream is ``data: [DONE]``, or an error where it broke."""

    def __init__(self, request: web.Request, head: Head, *, include_usage: bool) -> None:
        self._request = request
        self._times = request.app[GATEWAY].metrics.times
        self._head = head
        self._include_usage = include_usage
        self._response = web.StreamResponse(headers=HEADERS)
        self._sent = ""
        self._sent_at = 0.0

    async def send(
        self, answering: Completion, usage: Callable[[Finished], Awaitable[JsonObject]], *, timeout_s: float
    ) -> web.StreamResponse:
        """Send the answer; where the client leaves, the work stops. Raises only what comes before the first byte."""
        await self._response.prepare(self._request)
        try:
            async with asyncio.timeout(timeout_s), answering:
                await self._send_answer(answering, usage)
        except ConnectionError:
            log.info("completion_left", chars=len(self._sent))
        except Exception as error:  # the status is sent already: what broke must be told in the stream
            report("completion_broken", error)
            await self._fail()
        return self._response

    async def _send_answer(self, answering: Completion, usage: Callable[[Finished], Awaitable[JsonObject]]) -> None:
        await self._write(chunk_object(self._head, {"role": "assistant", "content": ""}))
        async with aclosing(answering.texts()) as texts:
            async for text in texts:
                await self._send_text(text)
        finished = await answering.finished()
        self._times.ended(self._head.completion_id, finished.reply.decision)
        last: JsonObject = {"assistant": assistant_object(finished)}
        await self._write(chunk_object(self._head, last, finish=finished.finish_reason))
        if self._include_usage:
            await self._write(usage_chunk_object(self._head, await usage(finished)))
        await self._put(b"data: [DONE]\n\n")
        await self._response.write_eof()

    async def _send_text(self, text: str) -> None:
        if new := text[len(self._sent) :]:
            self._sent = text
            await self._write(chunk_object(self._head, {"content": new}))
            self._times.text_sent(self._head.completion_id)
        elif self._request.transport is None:
            raise ConnectionResetError("the client has left")
        elif time.monotonic() - self._sent_at > SIGN_OF_LIFE_S:
            await self._put(b": still at work\n\n")

    async def _write(self, chunk: JsonObject) -> None:
        await self._put(f"data: {to_json(chunk)}\n\n".encode())

    async def _put(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(SLOW_S):
                await self._response.write(data)
        except TimeoutError as error:
            if self._request.transport is not None:
                self._request.transport.abort()  # aiohttp would wait for ever for buffers that nobody reads
            raise ConnectionAbortedError("the client reads too slowly") from error
        self._sent_at = time.monotonic()

    async def _fail(self) -> None:
        try:
            await self._write(error_object(Refusal("internal", ERROR_CODES["internal"], fix="Try again.")))
            await self._response.write_eof()
        except ConnectionError:
            log.info("completion_left", chars=len(self._sent))
