"""Conversations without a socket, each the visitor's own: begin, say, rate, ask for a person, list.

``Authorization: Bearer <visitor_secret>``. What is written is limited like a socket's frames, and `MAX_WAIT_S` is how
long a request may wait for its answer.
"""

from __future__ import annotations

import hashlib
import time
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import ConfigDict, Field

from assistant.conversation.events import ConversationId, Event, Message, Rating
from assistant.conversation.log import Head
from assistant.conversation.visitors import Visitor
from assistant.dialogue.manager import Speaker
from assistant.dialogue.unbroken import unbroken
from assistant.errors import Busy, UnknownConversation
from assistant.gateway.addresses import networks_of
from assistant.gateway.auth import by_bearer
from assistant.gateway.awaiting import answer_to
from assistant.gateway.frames import event_frame, to_json
from assistant.gateway.metrics import Door
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import (
    ERROR_CODES,
    MAX_COMMENT_CHARS,
    MAX_REASON_CHARS,
    Frame,
    Id,
    Locale,
    Model,
    Refusal,
    load_object,
    readable,
    validate,
)
from assistant.gateway.rest import read_text, whole_number
from assistant.gateway.resume import own_head

MAX_WAIT_S = 30
MAX_LISTED = 100
DEFAULT_LISTED = 20


READABLE = Field(json_schema_extra={"pattern": r"[!-~]|[^\x00-\xa0]"})
"""For the published schema of a text that must not be blank; what `readable` finds nothing to read in is never more."""


class Sent(Frame):
    """The body of ``POST /v1/conversations/{conversation_id}/messages``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"client_msg_id": "m-1", "text": "How long?"}]})

    client_msg_id: Id
    text: Annotated[str, READABLE]
    locale: Locale | None = None


class Rated(Frame):
    """The body of ``POST /v1/conversations/{conversation_id}/feedback``."""

    message_id: Id
    rating: Rating
    comment: str = ""


class PersonWanted(Frame):
    """The body of ``POST /v1/conversations/{conversation_id}/handoff``."""

    reason: str = ""


def routes() -> list[web.RouteDef]:
    """Where the handlers are found."""
    one = "/v1/conversations/{conversation_id}"
    return [
        web.get("/v1/conversations", get_conversations),
        web.post("/v1/conversations", post_conversation),
        web.post(f"{one}/messages", post_message),
        web.post(f"{one}/feedback", post_feedback),
        web.post(f"{one}/handoff", post_handoff),
    ]


async def get_conversations(request: web.Request) -> web.Response:
    """The visitor's conversations, the newest first."""
    gateway, visitor = await _admitted(request)
    limit = whole_number(request, "limit", default=DEFAULT_LISTED, low=1, high=MAX_LISTED)
    before = request.query.get("before")
    listed = await gateway.parts.log.conversations_of(
        visitor.visitor_id, before=ConversationId(before[:64]) if before else None, limit=limit
    )
    shown = [
        {
            "conversation_id": one.head.conversation_id,
            "epoch": one.head.epoch,
            "last_seq": one.head.last_seq,
            "mode": one.head.mode,
            "locale": one.head.locale,
            "created_at": one.created_at,
        }
        for one in listed
    ]
    return web.json_response({"conversations": shown})


async def post_conversation(request: web.Request) -> web.Response:
    """Begin a conversation with its first message. The same ``client_msg_id`` again finds the same conversation."""
    gateway, visitor = await _admitted(request)
    wait_s = whole_number(request, "wait", default=0, low=0, high=MAX_WAIT_S)
    body = await _body(request, Sent)
    conversation_id = _begun_by(visitor, body.client_msg_id)
    speaker = _speaker(request, visitor, conversation_id, body.locale or "")
    return await _say(gateway, speaker, body, wait_s=wait_s)


async def post_message(request: web.Request) -> web.Response:
    """Say something: 202 and the ack once it is committed; 200 with the answer where ``wait`` was long enough."""
    gateway, visitor = await _admitted(request)
    wait_s = whole_number(request, "wait", default=0, low=0, high=MAX_WAIT_S)
    head = await _own(request, gateway, visitor)
    body = await _body(request, Sent)
    speaker = _speaker(request, visitor, head.conversation_id, body.locale or head.locale)
    return await _say(gateway, speaker, body, wait_s=wait_s)


async def post_feedback(request: web.Request) -> web.Response:
    """Rate an answer."""
    gateway, visitor = await _admitted(request)
    head = await _own(request, gateway, visitor)
    body = await _body(request, Rated)
    comment = readable(body.comment, MAX_COMMENT_CHARS)
    await gateway.limits.message(visitor.visitor_id, networks_of(gateway.address(request)))
    await unbroken(gateway.parts.manager.feedback(head.conversation_id, body.message_id, body.rating, comment))
    return web.Response(status=204)


async def post_handoff(request: web.Request) -> web.Response:
    """Ask for a person."""
    gateway, visitor = await _admitted(request)
    head = await _own(request, gateway, visitor)
    body = await _body(request, PersonWanted)
    reason = readable(body.reason, MAX_REASON_CHARS)
    speaker = _speaker(request, visitor, head.conversation_id, head.locale)
    await gateway.limits.message(visitor.visitor_id, speaker.networks)
    await unbroken(gateway.parts.manager.request_person(speaker, reason))
    head = await gateway.parts.log.head(head.conversation_id)
    return web.json_response({"mode": head.mode, "last_seq": head.last_seq})


async def commit(gateway: Gateway, speaker: Speaker, text: str, client_msg_id: str, *, door: Door = "rest") -> Event:
    """Commit a customer's message and begin its turn. Raises `Refusal`, `Busy` and `IdempotencyConflict`."""
    arrived_at = time.monotonic()
    await gateway.limits.message(speaker.visitor_id, speaker.networks)
    await gateway.budget.spend(speaker.visitor_id, text, speaker.networks)
    try:
        event = await gateway.parts.manager.receive(speaker, text, client_msg_id)
    except Busy:
        gateway.metrics.limit_turns()
        await gateway.budget.give_back(speaker.visitor_id, text, speaker.networks)
        raise
    assert isinstance(event.payload, Message), "a customer's message is a message"
    gateway.metrics.times.begin(event.payload.message_id, at=arrived_at, door=door)
    return event


async def _say(gateway: Gateway, speaker: Speaker, body: Sent, *, wait_s: float) -> web.Response:
    text = readable(body.text, gateway.parts.settings.gateway.max_text_chars, needed=True)
    event = await commit(gateway, speaker, text, body.client_msg_id)
    answer = await answer_to(gateway.parts, event, timeout_s=wait_s) if wait_s else None
    told: dict[str, object] = {
        "conversation_id": event.conversation_id,
        "ack": {"client_msg_id": body.client_msg_id, "seq": event.seq},
    }
    if answer is None:
        return web.json_response(told, status=202)
    if isinstance(answer.payload, Message):
        gateway.metrics.times.final_sent(answer.payload)
    return web.Response(text=to_json(told | {"answer": event_frame(answer)}), content_type="application/json")


async def _admitted(request: web.Request) -> tuple[Gateway, Visitor]:
    gateway = request.app[GATEWAY]
    await gateway.limits.request(gateway.address(request))
    visitor = await by_bearer(gateway.parts.visitors, request.headers.get(hdrs.AUTHORIZATION, ""))
    return gateway, visitor


def _speaker(request: web.Request, visitor: Visitor, conversation_id: ConversationId, locale: str) -> Speaker:
    gateway = request.app[GATEWAY]
    networks = networks_of(gateway.address(request))
    who = (conversation_id, visitor.visitor_id, visitor.tenant)
    return Speaker(*who, locale, user_id=gateway.identities.user_id(visitor), networks=networks)


async def _own(request: web.Request, gateway: Gateway, visitor: Visitor) -> Head:
    try:
        return await own_head(gateway.parts.log, visitor, request.match_info["conversation_id"])
    except UnknownConversation as error:
        raise Refusal("not_found", ERROR_CODES["not_found"]) from error


async def _body(request: web.Request, model: type[Model]) -> Model:
    return validate(model, load_object(await read_text(request)))


def _begun_by(visitor: Visitor, client_msg_id: str) -> ConversationId:
    """The id of the conversation that this message begins: the same for a repeated request, and nobody can guess it."""
    digest = hashlib.sha256(f"{visitor.visitor_id}\0{client_msg_id}".encode()).hexdigest()
    return ConversationId(f"c_{digest[:35]}")
