"""The HTTP interface beside the socket: tokens, history, health, metrics.

Bounds: ``max_frame_bytes`` of the settings and `BODY_TIMEOUT_S` for a request's body, `MAX_EVENTS_PER_READ` events per
answer.
"""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict

from assistant.conversation.events import Message
from assistant.conversation.log import MAX_EVENTS_PER_READ
from assistant.conversation.visitors import Visitor, digest
from assistant.errors import UnknownConversation
from assistant.gateway.addresses import is_loopback, networks_of
from assistant.gateway.auth import Ticket, bearer, by_bearer, has_key, identify
from assistant.gateway.frames import event_frame, to_json
from assistant.gateway.identity import SignedIdentity, sign_in
from assistant.gateway.parts import GATEWAY, Gateway
from assistant.gateway.protocol import ERROR_CODES, CloseCode, Id, Locale, Refusal, Secret, load_object, validate
from assistant.gateway.resume import own_head

BODY_TIMEOUT_S = 10.0
DEFAULT_LIMIT = 100


class TokenRequest(BaseModel):
    """The body of ``POST /v1/visitor-tokens``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    tenant: Id | None = None
    locale: Locale | None = None
    visitor_id: Id | None = None
    visitor_secret: Secret | None = None
    identity: SignedIdentity | None = None


async def post_visitor_token(request: web.Request) -> web.Response:
    """A token for one socket; the visitor is made where the body names none."""
    gateway = request.app[GATEWAY]
    address = gateway.address(request)
    await gateway.limits.handshake(address)
    asked = validate(TokenRequest, load_object(await read_text(request)))
    visitor, new_secret = await _visitor(gateway, asked)
    device = digest(new_secret or asked.visitor_secret or "") if visitor.user_id is not None else ""
    ticket = Ticket(visitor, request.headers.get(hdrs.ORIGIN), asked.locale or "", device)
    answer = {
        "token": await gateway.tickets.issue(ticket, network=networks_of(address)[-1]),
        "visitor_id": visitor.visitor_id,
        "expires_s": gateway.tickets.ttl_s,
    }
    return web.json_response(answer | ({"visitor_secret": new_secret} if new_secret else {}))


async def post_sign_out(request: web.Request) -> web.Response:
    """End the visitor's secret on this device; its sockets come back only as somebody else's."""
    gateway = request.app[GATEWAY]
    await gateway.limits.handshake(gateway.address(request))
    authorization = request.headers.get(hdrs.AUTHORIZATION, "")
    visitor = await by_bearer(gateway.parts.visitors, authorization)
    await gateway.parts.visitors.sign_out(bearer(authorization))
    # All of theirs: which socket is whose device is not known here, and the others come back by themselves.
    await gateway.sockets.end_visitor(visitor.visitor_id, CloseCode.AUTH, within_s=0)
    return web.json_response({})


async def get_events(request: web.Request) -> web.Response:
    """A page of the visitor's own conversation."""
    gateway = request.app[GATEWAY]
    await gateway.limits.request(gateway.address(request))
    after_seq = whole_number(request, "after_seq", default=0, low=0, high=2**53)
    limit = whole_number(request, "limit", default=DEFAULT_LIMIT, low=1, high=MAX_EVENTS_PER_READ)
    visitor = await by_bearer(gateway.parts.visitors, request.headers.get(hdrs.AUTHORIZATION, ""))
    try:
        head = await own_head(gateway.parts.log, visitor, request.match_info["conversation_id"])
    except UnknownConversation as error:
        raise Refusal("not_found", ERROR_CODES["not_found"]) from error
    events = await gateway.parts.log.public_events(head.conversation_id, after_seq=after_seq, limit=limit)
    for event in events:  # who takes answers by this door has them now
        if event.author != "customer" and isinstance(event.payload, Message):
            gateway.metrics.times.final_sent(event.payload)
    body = to_json({"events": [event_frame(event) for event in events], "last_seq": head.last_seq})
    return web.Response(text=body, content_type="application/json")


async def get_healthz(_: web.Request) -> web.Response:
    """Alive: the event loop turns."""
    return web.json_response({"status": "alive"})


async def get_readyz(request: web.Request) -> web.Response:
    """Ready for customers, or 503 with what is missing."""
    gateway = request.app[GATEWAY]
    missing = gateway.parts.ready() + (["shutting down"] if gateway.sockets.is_draining else [])
    if not missing:
        return web.json_response({"status": "ready"})
    error = {"code": "not_ready", "message": f"Not ready: {', '.join(missing)}."}
    return web.json_response({"error": error, "missing": missing}, status=503)


async def get_metrics(request: web.Request) -> web.Response:
    """Prometheus' text format, for this machine, for the admin key, or for all where the settings open it."""
    gateway = request.app[GATEWAY]
    if not (gateway.parts.settings.gateway.metrics_open or _is_from_here(request) or _has_admin_key(request)):
        await gateway.limits.handshake(gateway.address(request))
        raise Refusal("unauthorized", "The metrics are not public.", fix="Send Authorization: Bearer <admin key>.")
    await gateway.observed.look()
    return web.Response(body=gateway.metrics.render(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})


def _is_from_here(request: web.Request) -> bool:
    # A proxy on this machine speaks for the whole internet, also where it is not among the trusted ones.
    forwarded = "X-Forwarded-For" in request.headers or hdrs.FORWARDED in request.headers
    return is_loopback(request.remote) and not forwarded


def _has_admin_key(request: web.Request) -> bool:
    admin = request.app[GATEWAY].parts.admin
    return admin is not None and has_key(request.headers.get(hdrs.AUTHORIZATION, ""), admin.key)


async def _visitor(gateway: Gateway, asked: TokenRequest) -> tuple[Visitor, str | None]:
    settings = gateway.parts.settings
    tenant = asked.tenant or settings.tenant
    if tenant != settings.tenant and tenant not in settings.tenants:
        raise Refusal(
            "bad_request",
            f"The tenant {tenant!r} is not served here.",
            fix="Leave it out or correct it.",
        )
    if asked.identity is not None:
        return await _customer(gateway, tenant, asked, asked.identity)
    if asked.visitor_id is None and asked.visitor_secret is None:
        return await gateway.parts.visitors.add(tenant)
    return await _known(gateway, tenant, asked), None


async def _customer(
    gateway: Gateway, tenant: str, asked: TokenRequest, identity: SignedIdentity
) -> tuple[Visitor, str | None]:
    proof = gateway.identities.verify(tenant, identity)
    assert gateway.parts.customers is not None, "whoever takes identities keeps customers"
    known = await _known(gateway, tenant, asked) if asked.visitor_secret is not None else None
    is_current = known is not None and gateway.identities.user_id(known) is not None
    customer = await sign_in(
        gateway.parts.customers, proof, visitor_id=asked.visitor_id, known=known, is_current=is_current
    )
    if asked.visitor_secret is not None and await gateway.parts.visitors.by_secret(asked.visitor_secret) is None:
        # What was anonymous is the customer's now: its sockets come back as theirs.
        await gateway.sockets.end_visitor(asked.visitor_id or "", CloseCode.AUTH, within_s=0)
    return customer


async def _known(gateway: Gateway, tenant: str, asked: TokenRequest) -> Visitor:
    return await identify(
        gateway.parts.visitors, tenant=tenant, visitor_id=asked.visitor_id, secret=asked.visitor_secret
    )


async def read_text(request: web.Request) -> str:
    """The body. Raises `Refusal` where it comes too slowly or is not UTF-8."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
    except TimeoutError as error:
        raise Refusal("timeout", f"The body did not arrive within {BODY_TIMEOUT_S:.0f} s.") from error
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("not_json", "The body is not UTF-8.", fix="Send JSON in UTF-8.") from error


def whole_number(request: web.Request, name: str, *, default: int, low: int, high: int) -> int:
    """A number of the query. Raises `Refusal` where it is none or out of its limits."""
    given = request.query.get(name)
    if given is None:
        return default
    value = int(given) if given.isascii() and given.isdigit() and len(given) <= 16 else -1
    if not low <= value <= high:
        raise Refusal("bad_request", f"{name} is {given[:40]!r}; it must be a whole number from {low} to {high}.")
    return value
