"""What surrounds every request: the access log, errors as JSON, allowed origins, headers."""

from __future__ import annotations

import time

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from assistant.errors import (
    AssistantError,
    Busy,
    ConversationClosed,
    IdempotencyConflict,
    ModelLate,
    ModelUnavailable,
    NotTaken,
    PromptTooLong,
    ProofUsed,
    QueueFull,
    StorageError,
    TakenByAnother,
    UnknownConversation,
    UnknownMessage,
    UnknownVisitor,
)
from assistant.faults import report
from assistant.gateway.parts import GATEWAY
from assistant.gateway.protocol import ERROR_CODES, ErrorCode, Refusal

API = "/v1/"
STATUS: dict[ErrorCode, int] = {  # 400 for all others
    "unauthorized": 401,
    "wrong_origin": 403,
    "forbidden": 403,
    "not_found": 404,
    "unknown_conversation": 404,
    "unknown_message": 404,
    "unknown_agent": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "idempotency_conflict": 409,
    "taken": 409,
    "not_taken": 409,
    "conversation_closed": 409,
    "too_large": 413,
    "rate_limited": 429,
    "too_many_sockets": 429,
    "internal": 500,
    "not_stored": 503,
    "not_ready": 503,
    "draining": 503,
}
RETRY_MS = 2_000
CODE_OF_STATUS: dict[int, ErrorCode] = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
TOLD: dict[type[AssistantError], ErrorCode] = {  # what clients cause or may wait for; all else is the operator's
    IdempotencyConflict: "idempotency_conflict",
    UnknownConversation: "unknown_conversation",
    UnknownMessage: "unknown_message",
    UnknownVisitor: "not_found",
    TakenByAnother: "taken",
    NotTaken: "not_taken",
    ConversationClosed: "conversation_closed",
    ProofUsed: "unauthorized",
    PromptTooLong: "text_too_long",
    QueueFull: "rate_limited",
    ModelLate: "not_ready",
    ModelUnavailable: "not_ready",
}
HEADERS = {  # a page has its own policy, and a script that any site may load says so
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}

log = structlog.get_logger()


@web.middleware
async def log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line and one count per request: never the query, a body or a header, which may hold secrets."""
    began_at = time.monotonic()
    response = await handler(request)
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    method = request.method if request.method in hdrs.METH_ALL else "other"
    request.app[GATEWAY].metrics.http.labels(method, route, str(response.status)).inc()
    ms = round((time.monotonic() - began_at) * 1000, 1)
    log.info("http_request", method=method, route=route, status=response.status, ms=ms)
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong is a JSON body ``{"error": {"code", "message"}}``."""
    try:
        return await handler(request)
    except AssistantError as error:
        return _answer(request, told(error))
    except web.HTTPException as error:
        code = CODE_OF_STATUS.get(error.status, "bad_request")
        response = _answer(request, Refusal(code, ERROR_CODES[code]))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except ConnectionError:  # the client is gone, nobody reads the answer
        return _answer(request, Refusal("bad_request", "The connection was lost."))
    except Exception as error:
        report("request_broken", error)
        return _answer(request, Refusal("internal", ERROR_CODES["internal"]))


@web.middleware
async def refuse_nul(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No id, name or number has a NUL character, and PostgreSQL has no text with one."""
    if "\0" in request.path or any("\0" in value for value in request.query.values()):
        raise Refusal("bad_request", "The address has a NUL character.", fix="Leave %00 out.")
    return await handler(request)


@web.middleware
async def guard_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only allowed pages reach the interface, and change anything; their browsers' preflights are answered here."""
    if not request.path.startswith(API) and request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
        return await handler(request)
    request.app[GATEWAY].origins.check(request.headers.get(hdrs.ORIGIN), host=_host(request))
    if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        return web.Response(status=204, headers=PREFLIGHT)
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer (a signal, so that sockets and errors have them too)."""
    response.headers.pop(hdrs.SERVER, None)  # which versions run here is nobody's business
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.path.startswith(API):
        return
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and request.app[GATEWAY].origins.allows(origin, host=_host(request)):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.RETRY_AFTER


def told(error: AssistantError) -> Refusal:
    """The error as a client may know it; what concerns the operator alone goes to the log."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Busy):
        return Refusal("rate_limited", error.message, fix=error.fix, retry_after_ms=error.retry_after_ms)
    code = TOLD.get(type(error))
    if code is not None:
        retry_after_ms = RETRY_MS if STATUS.get(code) in (429, 503) else None
        return Refusal(code, error.message, fix=error.fix, retry_after_ms=retry_after_ms)
    report("request_failed", error)
    code = "not_stored" if isinstance(error, StorageError) else "internal"
    return Refusal(code, ERROR_CODES[code])


def _host(request: web.Request) -> str:
    return request.headers.get(hdrs.HOST, "")


def _answer(request: web.Request, refusal: Refusal) -> web.Response:
    request.app[GATEWAY].metrics.refused.labels(refusal.code).inc()
    body = {"error": {"code": refusal.code, "message": str(refusal)}}
    response = web.json_response(body, status=STATUS.get(refusal.code, 400))
    if refusal.retry_after_ms is not None:
        response.headers[hdrs.RETRY_AFTER] = str(-(-refusal.retry_after_ms // 1000))
    if refusal.code in ("timeout", "too_large"):
        response.force_close()  # the rest of the body is not waited for
    return response
