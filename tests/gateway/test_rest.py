"""The HTTP interface: history, health, metrics, pages, and errors as JSON."""

from __future__ import annotations

import asyncio
import re

import pytest

from assistant.conversation.events import ConversationId, NewEvent, Opened, State, VisitorId
from assistant.gateway import rest
from assistant.gateway.pages import FOLDER
from tests.gateway.rig import PATIENCE_S, Rig, SocketClient, VisitorClient

pytestmark = pytest.mark.unit


async def test_the_history_has_the_frames_of_the_socket(visitor: VisitorClient, socket: SocketClient) -> None:
    await socket.say("How long can I return an item?")
    await socket.until_answered()
    async with await visitor.get_events(socket.conversation_id) as response:
        assert await response.json() == {"events": [f for f in socket.frames if "seq" in f], "last_seq": 2}
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_history_comes_in_pages(rig: Rig, visitor: VisitorClient) -> None:
    states = [NewEvent("system", State("waiting")) for _ in range(7)]
    opening = Opened("default", VisitorId(visitor.visitor_id))
    await rig.parts.log.append(ConversationId("c_1"), states, opening=opening)
    pages = []
    for after_seq in (0, 3, 6, 7):
        body = await (await visitor.get_events("c_1", after_seq=after_seq, limit=3)).json()
        assert body["last_seq"] == 7
        pages.append([event["seq"] for event in body["events"]])
    assert pages == [[1, 2, 3], [4, 5, 6], [7], []]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"after_seq": -1}, {"after_seq": "1e3"}, {"after_seq": "１"}],
)
async def test_a_wrong_number_is_400_and_named(visitor: VisitorClient, query: dict[str, object]) -> None:
    async with await visitor.get_events("c_1", **query) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (400, "bad_request")
        assert next(iter(query)) in error["message"]


async def test_anothers_history_is_404_as_if_there_were_none(rig: Rig, socket: SocketClient) -> None:
    await socket.say("mine alone")
    await socket.until_answered()
    stranger = await rig.visitor()
    answers = []
    for wanted in (socket.conversation_id, "c_invented"):
        async with await stranger.get_events(wanted) as response:
            answers.append((response.status, await response.text()))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic abc", "Bearer \udcff"])
async def test_without_the_secret_the_history_is_401(rig: Rig, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with rig.http.get(rig.url("/v1/conversations/c_1/events"), headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (401, "unauthorized")


async def test_alive_is_not_ready(rig: Rig) -> None:
    rig.missing.append("the chat model is loading")
    async with rig.http.get(rig.url("/healthz")) as alive, rig.http.get(rig.url("/readyz")) as ready:
        assert alive.status == 200
        assert ready.status == 503
        body = await ready.json()
        assert body["missing"] == ["the chat model is loading"]
        assert body["error"]["code"] == "not_ready"
    rig.missing.clear()
    async with rig.http.get(rig.url("/readyz")) as ready:
        assert ready.status == 200


async def test_metrics_count_turns_and_their_times_once(rig: Rig, visitor: VisitorClient, socket: SocketClient) -> None:
    other = await visitor.join()
    await socket.say("count me please")
    await socket.until_answered()
    late = await visitor.join(conversation_id=socket.conversation_id, epoch=1, last_seq=0)
    await socket.say("count me please")
    await socket.until("ack")
    await other.websocket.send_str("rubbish")
    await other.next("error")
    await late.close()
    await rig.http.get(rig.url("/readyz"))

    async with rig.http.get(rig.url("/metrics")) as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        text = await response.text()
    for line in (
        "assistant_messages_total 1.0",
        'assistant_turns_total{decision="composed"} 1.0',
        "assistant_first_text_seconds_count 1.0",
        "assistant_turn_seconds_count 1.0",
        'assistant_refused_total{code="not_json"} 1.0',
        'assistant_http_requests_total{method="GET",route="/readyz",status="200"} 1.0',
        'assistant_http_requests_total{method="POST",route="/v1/visitor-tokens",status="200"} 4.0',
    ):
        assert line in text


async def test_two_servers_in_one_process_count_apart(start: object) -> None:
    one, two = await start(), await start()  # type: ignore[operator]
    one.gateway.metrics.messages.inc()
    assert two.gateway.metrics.registry.get_sample_value("assistant_messages_total") == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/static/nothing.js", 404, "not_found"),
        ("GET", "/static/..%2fapp.py", 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", 404, "not_found"),
        ("DELETE", "/v1/visitor-tokens", 405, "method_not_allowed"),
        ("PROPFIND", "/v1/visitor-tokens", 405, "method_not_allowed"),
        ("GET", "/v1/ws", 400, "bad_request"),
    ],
)
async def test_http_errors_are_json(rig: Rig, method: str, path: str, status: int, code: str) -> None:
    async with rig.http.request(method, rig.url("/") + path.lstrip("/")) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (status, code)
        assert error["message"]
        assert ("Allow" in response.headers) == (status == 405)
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"\xff", 400, "not_json"),
        (b"[]", 400, "bad_frame"),
        (b'{"more": 1}', 400, "bad_frame"),
        (b'{"locale": 7}', 400, "bad_frame"),
        (b'{"tenant": "other"}', 400, "bad_request"),
        (b'{"visitor_secret": "\\ud800"}', 400, "bad_text"),
        (b'{"locale": "' + b"x" * 70_000 + b'"}', 413, "too_large"),
    ],
)
async def test_bad_bodies_are_told_why(rig: Rig, body: bytes, status: int, code: str) -> None:
    async with rig.http.post(rig.url("/v1/visitor-tokens"), data=body) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (status, code)


async def test_a_fault_is_500_without_its_details(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*args: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(rig.parts.visitors, "add", broken)
    async with rig.http.post(rig.url("/v1/visitor-tokens"), json={}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (500, "internal")
        assert "secret" not in await response.text()


async def test_a_body_that_does_not_arrive_is_408(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.server.port)
    writer.write(b"POST /v1/visitor-tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    answer = await asyncio.wait_for(reader.readuntil(b"}}"), PATIENCE_S)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"timeout"' in answer
    assert b"Connection: close" in answer
    writer.close()
    await writer.wait_closed()


async def test_the_demo_page_is_confined(rig: Rig) -> None:
    async with rig.http.get(rig.url("/")) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_any_site_may_load_the_widget_and_its_modules(rig: Rig) -> None:
    for path in ("/widget.js", "/static/chat.js"):
        async with rig.http.get(rig.url(path), headers={"Origin": "https://shop.example"}) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
            assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_whatever_the_pages_name_is_served(rig: Rig) -> None:
    named = set()
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r'"(/(?:static/)?[\w.-]+\.(?:js|css|svg))"', text))
        named |= {f"/static/{name}" for name in re.findall(r'from "\./([\w.-]+)"', text)}
    assert len(named) > 3
    for path in named:
        async with rig.http.get(rig.url(path)) as response:
            assert response.status == 200, path


async def test_what_a_browser_has_is_not_sent_again(rig: Rig) -> None:
    async with rig.http.get(rig.url("/widget.js")) as response:
        etag = response.headers["ETag"]
    async with rig.http.get(rig.url("/widget.js"), headers={"If-None-Match": etag}) as response:
        assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", etag)
    async with rig.http.get(rig.url("/widget.js"), headers={"If-None-Match": '"other"'}) as response:
        assert response.status == 200
