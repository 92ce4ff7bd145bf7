"""The demo shop over HTTP, on this machine only: JSON in, JSON out, small bodies, every value checked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import date, datetime

from aiohttp import web

from assistant.demo_shop.orders import Order, Refused, Shop
from assistant.errors import ConfigError

HOST = "127.0.0.1"
MAX_BODY_BYTES = 4_096
MAX_VALUE_CHARS = 200
SLOW_S = 60.0
CUSTOMER = {"email", "customer_id"}  # who asks: what the customer told, or whom the shop has signed in
KEY = re.compile(r"[\x21-\x7e]{1,128}")

SHOP = web.AppKey("shop", Shop)
SLOW = web.AppKey("slow_s", float)


def make_app(*, today: Callable[[], date] | None = None, slow_s: float = SLOW_S) -> web.Application:
    """The service with its orders; ``slow_s`` is how long the slow order takes."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_json_errors])
    app[SHOP] = Shop(today=today or (lambda: datetime.now().astimezone().date()))
    app[SLOW] = slow_s
    app.router.add_post("/v1/identify", identify)
    app.router.add_post("/v1/orders/status", order_status)
    app.router.add_post("/v1/returns", register_return)
    app.router.add_post("/v1/callbacks", request_callback)
    return app


def run(port: int) -> None:
    """Serve until Ctrl-C. Raises `ConfigError` where the port is taken."""
    try:
        web.run_app(make_app(), host=HOST, port=port, print=None, access_log=None, handler_cancellation=True)
    except OSError as error:
        raise ConfigError(f"Port {port} cannot be used: {error.strerror}.", fix="Name another with --port.") from error


async def identify(request: web.Request) -> web.Response:
    """Whether the order is of the customer of this id or e-mail address: 200 or 404."""
    _found(request, await _values(request, "order_number"))
    return web.json_response({"known": True})


async def order_status(request: web.Request) -> web.Response:
    """How far an order is."""
    order = _found(request, await _values(request, "order_number"))
    await _behave(request, order)
    return web.json_response(request.app[SHOP].describe(order))


async def register_return(request: web.Request) -> web.Response:
    """Take a return, once for each Idempotency-Key."""
    values = await _values(request, "order_number", "reason")
    key = _key(request)
    order = _found(request, values)
    await _behave(request, order)
    return web.json_response(request.app[SHOP].register_return(order, values["reason"], key=key), status=201)


async def request_callback(request: web.Request) -> web.Response:
    """Note a wish to be called, once for each Idempotency-Key."""
    values = await _values(request, "phone", "day", "time_of_day")
    try:
        day = date.fromisoformat(values["day"])
    except ValueError as error:
        raise Refused(422, "day is no date") from error
    answer = request.app[SHOP].request_callback(values["phone"], day, values["time_of_day"], key=_key(request))
    return web.json_response(answer, status=201)


def _found(request: web.Request, values: dict[str, str]) -> Order:
    """The order that these values name and whose customer they name too. Raises `Refused`."""
    email = values["email"].lower() if "email" in values else None
    return request.app[SHOP].find(values["order_number"], email=email, customer_id=values.get("customer_id"))


async def _behave(request: web.Request, order: Order) -> None:
    """Fail where the order is there to show a failure."""
    if order.mode == "slow":
        await asyncio.sleep(request.app[SLOW])
    if order.mode == "broken":
        raise web.HTTPInternalServerError


async def _values(request: web.Request, *names: str) -> dict[str, str]:
    """The body's values, those of these names among them, strings of a bearable length. Raises `Refused`."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is no JSON") from error
    values = body if isinstance(body, dict) else {}
    for name in {*names, *(CUSTOMER & values.keys())}:
        value = values.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= MAX_VALUE_CHARS:
            raise Refused(422, f"{name} must be a text of 1 to {MAX_VALUE_CHARS} characters")
    return {name: values[name] for name in {*names, *(CUSTOMER & values.keys())}}


def _key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not KEY.fullmatch(key):
        raise Refused(400, "an Idempotency-Key of 1 to 128 printable characters is needed")
    return key


@web.middleware
async def _json_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return web.json_response({"error": refused.reason}, status=refused.status)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
