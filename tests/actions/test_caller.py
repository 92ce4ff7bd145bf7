"""The HTTP client of business actions against a real server that behaves well and badly."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import structlog
from aiohttp import web

from assistant.actions.caller import MAX_RESPONSE_BYTES, HttpActionCaller, fill_url, open_caller
from assistant.actions.outcome import Outcome
from assistant.config import CallSettings
from assistant.errors import ConfigError

pytestmark = pytest.mark.unit

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as the server got it."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: str


@dataclass
class System:
    """A business system on a port of its own; answers come from ``script``, the last one for ever."""

    address: str = ""
    script: list[Handler] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.raw_path, dict(request.headers), await request.text()))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer(request)

    def call(self, path: str = "/x", **changes: object) -> CallSettings:
        return CallSettings.model_validate({"url": self.address + path, "timeout_s": 5, **changes})


@pytest.fixture
async def system() -> AsyncIterator[System]:
    system = System()
    runner = web.ServerRunner(web.Server(system.handle, handler_cancellation=True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    system.address = f"http://{host}:{port}"
    yield system
    await runner.cleanup()


@pytest.fixture
async def caller() -> AsyncIterator[HttpActionCaller]:
    async with open_caller() as caller:
        yield caller


def answering(
    status: int = 200, body: str | bytes = '{"a": 1}', kind: str = "application/json", **headers: str
) -> Handler:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        data = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=data, headers={"Content-Type": kind, **headers})

    return answer


async def hanging_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def hanging(request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def make(caller: HttpActionCaller, settings: CallSettings, **arguments: str) -> Outcome:
    return await caller.call(settings, arguments, idempotency_key="a_1", name="test")


async def test_what_stands_in_no_placeholder_is_sent_as_json(system: System, caller: HttpActionCaller) -> None:
    system.script = [answering()]
    outcome = await make(caller, system.call("/orders/{order}?lang=en"), order="LO1", reason="太小了")
    assert outcome == Outcome("answered", "http_200", {"a": 1})
    (request,) = system.seen
    assert (request.method, request.raw_path) == ("POST", "/orders/LO1?lang=en")
    assert request.body == '{"reason": "\\u592a\\u5c0f\\u4e86"}'
    assert request.headers["Idempotency-Key"] == "a_1"
    assert request.headers["Content-Type"] == "application/json"


async def test_a_get_has_no_body(system: System, caller: HttpActionCaller) -> None:
    system.script = [answering()]
    await make(caller, system.call("/orders?mail={email}", method="GET"), email="a+b@example.com", other="x")
    assert system.seen[0].raw_path == "/orders?mail=a%2Bb%40example.com"
    assert system.seen[0].body == ""


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("../../admin", "/orders/..%2F..%2Fadmin/status"),
        ("..", "/orders/-/status"),
        (".", "/orders/-/status"),
        ("", "/orders/-/status"),
        ("a?x=1#y", "/orders/a%3Fx%3D1%23y/status"),
        ("a\r\nHost: evil", "/orders/a%0D%0AHost%3A%20evil/status"),
        ("%2e%2e%2f", "/orders/%252e%252e%252f/status"),
        ("@evil.example", "/orders/%40evil.example/status"),
    ],
)
async def test_a_value_cannot_leave_its_place_in_the_address(
    system: System, caller: HttpActionCaller, value: str, path: str
) -> None:
    system.script = [answering()]
    await make(caller, system.call("/orders/{order}/status"), order=value)
    assert system.seen[0].raw_path == path
    assert "evil" not in system.seen[0].headers["Host"]


def test_the_host_is_the_settings() -> None:
    assert fill_url("https://shop.example/{a}", {"a": "//evil.example/"}).host == "shop.example"


async def test_a_header_takes_its_secret_from_the_environment(
    system: System, caller: HttpActionCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    system.script = [answering()]
    settings = system.call(headers={"Authorization": "Bearer ${SHOP_TOKEN}"})
    with structlog.testing.capture_logs() as logs:
        await make(caller, settings, email="anna@example.com")
    assert system.seen[0].headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(settings)
    assert "s3cret" not in str(logs)
    assert "anna@example.com" not in str(logs)
    assert logs[0]["outcome"] == "answered"


@pytest.mark.parametrize("value", [None, "a\r\nX-Admin: 1"])
async def test_a_secret_that_is_missing_or_breaks_the_line_is_refused(
    system: System, caller: HttpActionCaller, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    if value:
        monkeypatch.setenv("SHOP_TOKEN", value)
    with pytest.raises(ConfigError, match="SHOP_TOKEN"):
        await make(caller, system.call(headers={"Authorization": "${SHOP_TOKEN}"}))
    assert system.seen == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (201, "answered"),
        (404, "not_found"),
        (410, "not_found"),
        (400, "refused"),
        (409, "refused"),
        (422, "refused"),
        (401, "failed"),
        (403, "failed"),
        (302, "failed"),
        (500, "unknown"),
        (503, "unknown"),
    ],
)
async def test_the_status_says_what_it_came_to(
    system: System, caller: HttpActionCaller, status: int, kind: str
) -> None:
    system.script = [answering(status)]
    outcome = await make(caller, system.call())
    assert (outcome.kind, outcome.code) == (kind, f"http_{status}")
    assert len(system.seen) == 1


async def test_a_redirect_is_not_followed(system: System, caller: HttpActionCaller) -> None:
    system.script = [answering(307, Location=f"{system.address}/elsewhere"), answering()]
    assert (await make(caller, system.call())).code == "http_307"
    assert [request.raw_path for request in system.seen] == ["/x"]


@pytest.mark.parametrize("first", [answering(500), answering(503), hanging_up])
@pytest.mark.parametrize("changes", [{"keyed": True}, {"method": "PUT"}, {"method": "GET"}])
async def test_a_repeatable_call_is_made_once_more_with_the_same_key(
    system: System, caller: HttpActionCaller, first: Handler, changes: dict[str, object]
) -> None:
    system.script = [first, answering()]
    assert (await make(caller, system.call(**changes))).kind == "answered"
    assert [request.headers["Idempotency-Key"] for request in system.seen] == ["a_1", "a_1"]


async def test_two_tries_are_all(system: System, caller: HttpActionCaller) -> None:
    system.script = [answering(500)]
    assert await make(caller, system.call(keyed=True)) == Outcome("unknown", "http_500")
    assert len(system.seen) == 2


@pytest.mark.parametrize("first", [answering(500), hanging_up])
async def test_a_post_without_a_known_key_is_never_repeated(
    system: System, caller: HttpActionCaller, first: Handler
) -> None:
    system.script = [first, answering()]
    assert (await make(caller, system.call())).kind == "unknown"
    assert len(system.seen) == 1


async def test_a_time_out_is_not_repeated_and_not_known(system: System, caller: HttpActionCaller) -> None:
    system.script = [hanging]
    assert await make(caller, system.call(keyed=True, timeout_s=0.1)) == Outcome("unknown", "timeout")
    assert len(system.seen) == 1


async def test_a_system_that_is_not_there_was_sent_nothing(caller: HttpActionCaller, unused_tcp_port: int) -> None:
    settings = CallSettings(url=f"http://127.0.0.1:{unused_tcp_port}/x", keyed=True)
    assert await make(caller, settings) == Outcome("failed", "connection")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answering(body="x" * (MAX_RESPONSE_BYTES + 1)), "response_too_large"),
        (answering(kind="text/html"), "response_not_json"),
        (answering(body="{"), "response_not_json"),
        (answering(body="[" * 60_000), "response_not_json"),
        (answering(body="[1]"), "response_not_an_object"),
        (answering(body=b'{"a": "\xff"}'), "response_not_json"),
        (answering(body=gzip.compress(b'{"a": 1}'), **{"Content-Encoding": "gzip"}), "response_not_json"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_not_known(
    system: System, caller: HttpActionCaller, answer: Handler, code: str
) -> None:
    system.script = [answer]
    assert await make(caller, system.call()) == Outcome("unknown", code)


async def test_an_empty_answer_is_an_answer(system: System, caller: HttpActionCaller) -> None:
    system.script = [answering(204, b"")]
    assert await make(caller, system.call()) == Outcome("answered", "http_204")


async def test_no_cookie_goes_from_one_customer_to_the_next(system: System, caller: HttpActionCaller) -> None:
    system.script = [answering(**{"Set-Cookie": "session=anna"}), answering()]
    await make(caller, system.call())
    await make(caller, system.call())
    assert "Cookie" not in system.seen[1].headers
