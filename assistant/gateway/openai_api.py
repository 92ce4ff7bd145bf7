"""The door for OpenAI's clients: ``POST /v1/chat/completions``, ``GET /v1/models``. Only with an API key.

https://platform.openai.com/docs/api-reference/chat. Bounds: an answer takes one of the places that conversations take
too (`dialogue/admission.py`), and then `dialogue.turn_timeout_s` and `GRACE_S` at most; what a request may hold stands
in `openai_models`.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from aiohttp import web

from assistant.conversation.api_keys import ApiKey
from assistant.conversation.events import ConversationId, new_id
from assistant.dialogue.turn import Question
from assistant.errors import AssistantError, Busy, QueueFull, StorageError
from assistant.faults import report
from assistant.gateway.api_keys import by_api_key
from assistant.gateway.completion import Completion, Finished, question_from
from assistant.gateway.doors import Doors
from assistant.gateway.frames import to_json
from assistant.gateway.middleware import STATUS, told
from assistant.gateway.openai_answers import Head, completion_object, error_object, model_object, usage_object
from assistant.gateway.openai_models import MODEL, ChatRequest, ParameterRefusal, parse_request
from assistant.gateway.openai_stream import CompletionStream
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import ERROR_CODES, Refusal, load_object
from assistant.gateway.rest import read_text

GRACE_S = 30.0  # for the wait in the model's queue, and everything but the model
SINCE = int(time.time())

Handler = Callable[["OpenAiRoutes", web.Request], Awaitable[web.StreamResponse]]


def in_openais_shape(handler: Handler) -> Handler:
    """Whatever goes wrong before the answer is a body in OpenAI's shape: ``{"error": {"message", "type", ...}}``."""

    @functools.wraps(handler)
    async def guarded(routes: OpenAiRoutes, request: web.Request) -> web.StreamResponse:
        try:
            return await handler(routes, request)
        except web.HTTPRequestEntityTooLarge:
            return _answer(request, Refusal("too_large", ERROR_CODES["too_large"], fix="Send fewer messages."))
        except ConnectionError:  # the client is gone, nobody reads the answer
            return _answer(request, Refusal("bad_request", "The connection was lost."))
        except StorageError as error:
            report("completion_failed", error)
            return _answer(request, Refusal("not_stored", "The keys could not be read.", fix="Try again."))
        except AssistantError as error:
            return _answer(request, told(error))
        except Exception as error:
            report("completion_broken", error)
            return _answer(request, Refusal("internal", ERROR_CODES["internal"], fix="Try again."))

    return guarded


class OpenAiRoutes:
    """The handlers."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def routes(self) -> list[web.RouteDef]:
        """Where the handlers are found."""
        return [
            web.post("/v1/chat/completions", self.post_completion),
            web.get("/v1/models", self.get_models),
            web.get("/v1/models/{model}", self.get_model),
        ]

    @in_openais_shape
    async def get_models(self, request: web.Request) -> web.StreamResponse:
        """The one model there is: the assistant as a whole."""
        await by_api_key(request, self._doors.keys)
        return web.json_response({"object": "list", "data": [model_object(SINCE)]})

    @in_openais_shape
    async def get_model(self, request: web.Request) -> web.StreamResponse:
        """One model by its name."""
        await by_api_key(request, self._doors.keys)
        if request.match_info["model"] != MODEL:
            fix = f"Use the model {MODEL!r}."
            raise ParameterRefusal("not_found", "There is no model of this name here.", param="model", fix=fix)
        return web.json_response(model_object(SINCE))

    @in_openais_shape
    async def post_completion(self, request: web.Request) -> web.StreamResponse:
        """Answer the last of the messages."""
        arrived_at, gateway = time.monotonic(), request.app[GATEWAY]
        key = await by_api_key(request, self._doors.keys)
        settings = gateway.parts.settings
        values = load_object(await read_text(request))
        asked = parse_request(values, max_text_chars=settings.gateway.max_text_chars)
        head = Head(new_id("chatcmpl"), int(time.time()))
        async with _admitted(gateway, head, arrived_at):
            question = await self._question(request, key, asked)
            answering = Completion(self._doors.responder, question, max_tokens=asked.token_limit)
            limit_s = settings.dialogue.turn_timeout_s + GRACE_S
            if asked.stream:
                stream = CompletionStream(request, head, include_usage=asked.wants_usage)
                return await stream.send(answering, self._usage_of(asked), timeout_s=limit_s)
            return await self._whole(request, head, asked, answering, timeout_s=limit_s)

    async def _whole(
        self, request: web.Request, head: Head, asked: ChatRequest, answering: Completion, *, timeout_s: float
    ) -> web.StreamResponse:
        try:
            async with asyncio.timeout(timeout_s), answering, aclosing(answering.texts()) as texts:
                async for _ in texts:
                    if request.transport is None:
                        raise ConnectionResetError("the client has left")
                finished = await answering.finished()
        except TimeoutError as error:
            raise Refusal("not_ready", f"There is no answer after {timeout_s:.0f} s.", fix="Try again.") from error
        body = completion_object(head, finished, await self._usage_of(asked)(finished))
        request.app[GATEWAY].metrics.times.ended(head.completion_id, finished.reply.decision)
        return web.Response(text=to_json(body), content_type="application/json")

    async def _question(self, request: web.Request, key: ApiKey, asked: ChatRequest) -> Question:
        settings = request.app[GATEWAY].parts.settings
        tenant = "" if key.tenant == settings.tenant else key.tenant
        language = settings.default_language
        return await asyncio.to_thread(question_from, asked.messages, tenant=tenant, default_language=language)

    def _usage_of(self, asked: ChatRequest) -> Callable[[Finished], Awaitable[dict[str, object]]]:
        texts = [message.text for message in asked.messages]
        generator = self._doors.responder.generator
        return lambda finished: asyncio.to_thread(usage_object, generator, texts, finished.text)


@asynccontextmanager
async def _admitted(gateway: Gateway, head: Head, arrived_at: float) -> AsyncIterator[None]:
    """A place among the turns of all doors. Raises `Busy` at once, and `QueueFull` after the wait in the queue."""
    admission = gateway.parts.manager.admission
    try:
        place = admission.reserve(ConversationId(head.completion_id))
    except Busy:
        gateway.metrics.limit_turns()
        raise
    try:
        gateway.metrics.times.begin(head.completion_id, at=arrived_at, door="openai")
        async with admission.running():
            yield
    except QueueFull:
        gateway.metrics.limit_turns()
        raise
    finally:
        place.free()


def _answer(request: web.Request, refusal: Refusal) -> web.Response:
    request.app[GATEWAY].metrics.refused.labels(refusal.code).inc()
    status = STATUS.get(refusal.code, 400)
    response = web.Response(text=to_json(error_object(refusal)), status=status, content_type="application/json")
    if refusal.retry_after_ms is not None:
        response.headers["Retry-After"] = str(-(-refusal.retry_after_ms // 1000))
    if refusal.code in ("timeout", "too_large"):
        response.force_close()  # the rest of the body is not waited for
    return response
