"""The aiohttp application: which address goes where, what surrounds it, and how it runs and stops.

Shutdown: no new connections, messages or sockets; running answers end (``drain_s``) or are cut short and kept; sockets
are closed with 4503, requests finished, then the application's cleanup. With the defaults at most 30 s.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from assistant.errors import ConfigError
from assistant.gateway import rest, rest_conversations
from assistant.gateway.accounts import AgentRoutes
from assistant.gateway.admin import AdminRoutes
from assistant.gateway.asyncapi import get_asyncapi
from assistant.gateway.descriptors import raise_descriptor_limit
from assistant.gateway.http_log import server_log
from assistant.gateway.knowledge import Admin
from assistant.gateway.middleware import add_headers, answer_errors, guard_origin, log_access, refuse_nul
from assistant.gateway.openai_api import OpenAiRoutes
from assistant.gateway.openapi import OpenApi
from assistant.gateway.pages import Pages
from assistant.gateway.parts import GATEWAY, Gateway, Parts
from assistant.gateway.privacy import PrivacyRoutes
from assistant.gateway.rasa import RasaRoutes
from assistant.gateway.revoking import closing_revoked
from assistant.gateway.uploads import UploadRoutes, staff_reads
from assistant.gateway.visitor import visitor_socket

__all__ = ["Admin", "Parts", "make_app", "serve"]

KEEPALIVE_S = 12.0  # also ends a request whose headers do not arrive
LINGER_S = 2.0  # for the rest of a body that nobody wants, after its answer
SHUTDOWN_S = 3.0
BACKLOG = 128  # connections that wait to be accepted: all customers of a dropped server come back at once


def make_app(parts: Parts, *, clock: Callable[[], float] = time.monotonic) -> web.Application:
    """The application; opening and closing the parts is the caller's, by `cleanup_ctx`."""
    middlewares = [log_access, answer_errors, refuse_nul, guard_origin]
    app = web.Application(middlewares=middlewares, client_max_size=parts.settings.gateway.max_frame_bytes)
    app[GATEWAY] = Gateway(parts, clock=clock)
    pages = Pages()
    pages.load()
    app.add_routes(
        [
            web.get("/", pages.get_index),
            web.get("/widget.js", pages.get_widget),
            web.get("/static/{name}", pages.get_static),
            web.get("/asyncapi.json", get_asyncapi),
            web.get("/openapi.json", OpenApi().get),
            web.get("/healthz", rest.get_healthz),
            web.get("/readyz", rest.get_readyz),
            web.get("/metrics", rest.get_metrics),
            web.post("/v1/visitor-tokens", rest.post_visitor_token),
            web.post("/v1/visitor-sign-out", rest.post_sign_out),
            web.get("/v1/conversations/{conversation_id}/events", rest.get_events),
            web.get("/v1/ws", visitor_socket, allow_head=False),
        ]
    )
    app.add_routes(rest_conversations.routes())
    if parts.doors is not None:
        app.add_routes([*OpenAiRoutes(parts.doors).routes(), *RasaRoutes(parts.doors).routes()])
    if parts.attachments is not None:
        uploads = UploadRoutes(app[GATEWAY], parts.attachments, reads=staff_reads(parts))
        app.add_routes(uploads.routes())
        app.cleanup_ctx.append(uploads.sweeping)
    if parts.staff is not None:
        agents = AgentRoutes(app[GATEWAY], parts.staff, clock=clock)
        app.add_routes(agents.routes())
        app.cleanup_ctx.append(agents.running)
    if parts.admin is not None:
        admin = AdminRoutes(parts.admin)
        app.add_routes(admin.routes())
        app.on_cleanup.append(admin.close)
        if parts.privacy is not None:
            privacy = PrivacyRoutes(app[GATEWAY], parts.privacy, admit=admin.admit)
            app.add_routes(privacy.routes())
            app.cleanup_ctx.append(privacy.running)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(_sharing)
    app.cleanup_ctx.append(closing_revoked)
    app.on_shutdown.append(_drain)
    return app


async def serve(
    app: web.Application, *, host: str, port: int, on_listening: Callable[[str], None] = lambda url: None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Port 0 takes a free one, which ``on_listening`` is told.

    Raises `ConfigError` where the address cannot be had.
    """
    raise_descriptor_limit()
    gc.freeze()  # what is loaded by now stays: looking through all of it again stalls the loop for tenths of a second
    runner = make_runner(app)
    try:
        await runner.setup()
        await _listen(runner, host, port)
        on_listening(_url(host, runner.addresses[0][1]))
        await _stop_signal()
    finally:
        await runner.cleanup()
        gc.unfreeze()


def make_runner(app: web.Application) -> web.AppRunner:
    """The application with the server's time limits, and with a log that quotes nobody."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=server_log(),
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        shutdown_timeout=SHUTDOWN_S,
        handler_cancellation=False,
    )


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
    except OSError as error:
        raise ConfigError(
            f"The address {host}:{port} cannot be listened on: {error.strerror}.",
            fix="Choose another [gateway] host or port (port 0 takes a free one).",
        ) from error


async def _stop_signal() -> None:
    """Wait for the first SIGTERM or SIGINT; a second one then stops at once."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await stopped.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _drain(app: web.Application) -> None:
    gateway = app[GATEWAY]
    turns = gateway.parts.manager.drain(within_s=gateway.parts.settings.gateway.drain_s)
    await gateway.sockets.drain(turns)


async def _sharing(app: web.Application) -> AsyncIterator[None]:
    """Keep this process's places among those of all while it runs."""
    gateway = app[GATEWAY]
    if gateway.shared is None:
        yield
        return
    renewing = asyncio.create_task(gateway.places.renew_forever())
    yield
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)
    await gateway.shared.close()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
