"""The aiohttp application: which address goes where, what surrounds it, and how it runs and stops.

Shutdown: no new connections, sockets closed with 4503, requests finished, then the application's cleanup.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

from aiohttp import web

from assistant.errors import ConfigError
from assistant.gateway import rest
from assistant.gateway.admin import AdminRoutes
from assistant.gateway.knowledge import Admin
from assistant.gateway.middleware import add_headers, answer_errors, guard_origin, log_access
from assistant.gateway.pages import Pages
from assistant.gateway.parts import GATEWAY, Gateway, Parts
from assistant.gateway.visitor import visitor_socket

__all__ = ["Admin", "Parts", "make_app", "serve"]

KEEPALIVE_S = 30.0  # also ends a request whose headers do not arrive
SHUTDOWN_S = 10.0


def make_app(parts: Parts, *, clock: Callable[[], float] = time.monotonic) -> web.Application:
    """The application; opening and closing the parts is the caller's, by `cleanup_ctx`."""
    app = web.Application(middlewares=[log_access, answer_errors, guard_origin], client_max_size=rest.MAX_BODY_BYTES)
    app[GATEWAY] = Gateway(parts, clock=clock)
    pages = Pages()
    pages.load()
    app.add_routes(
        [
            web.get("/", pages.get_index),
            web.get("/widget.js", pages.get_widget),
            web.get("/static/{name}", pages.get_static),
            web.get("/healthz", rest.get_healthz),
            web.get("/readyz", rest.get_readyz),
            web.get("/metrics", rest.get_metrics),
            web.post("/v1/visitor-tokens", rest.post_visitor_token),
            web.get("/v1/conversations/{conversation_id}/events", rest.get_events),
            web.get("/v1/ws", visitor_socket, allow_head=False),
        ]
    )
    if parts.admin is not None:
        admin = AdminRoutes(parts.admin)
        app.add_routes(admin.routes())
        app.on_cleanup.append(admin.close)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_drain)
    return app


async def serve(
    app: web.Application, *, host: str, port: int, on_listening: Callable[[str], None] = lambda url: None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Port 0 takes a free one, which ``on_listening`` is told.

    Raises `ConfigError` where the address cannot be had.
    """
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=SHUTDOWN_S, handler_cancellation=False
    )
    try:
        await runner.setup()
        await _listen(runner, host, port)
        on_listening(_url(host, runner.addresses[0][1]))
        await _stop_signal()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
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
    await app[GATEWAY].sockets.drain()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
