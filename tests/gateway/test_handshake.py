"""Who gets in: tokens, origins, the first frame, and the ends of a socket."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import aiohttp
import pytest

from assistant.conversation.events import VisitorId
from assistant.conversation.visitors import Visitor
from assistant.gateway.auth import Origins, Ticket, Tickets
from assistant.gateway.knowledge import Admin
from assistant.gateway.protocol import CloseCode, Refusal
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Clock, Rig, VisitorClient
from tests.gateway.test_admin import ScriptedEditor

pytestmark = pytest.mark.unit

SHOP = "https://shop.example"
TICKET = Ticket(Visitor(VisitorId("v_1"), "default"), SHOP, "en")


async def test_the_welcome_says_where_the_conversation_stands_and_what_the_limits_are(start: StartRig) -> None:
    texts = {
        "brand": {"name": {"en": "Lumen", "zh": "木光"}, "greeting": {"en": "Hello!", "zh": "您好！"}},
        "handoff": {
            "email": "help@shop.example",
            "phone": {"en": "+49 1"},
            "hours": {"en": "9-17", "zh": "九点到五点"},
        },
    }
    rig = await start(extra=texts, heartbeat_s=15, messages_per_minute=7)
    visitor = await rig.visitor()
    welcome = await (await visitor.connect(locale="zh-Hant-TW")).next("welcome")
    assert welcome["v"] == 1
    assert welcome["conversation_id"].startswith("c_")
    assert "seq" not in welcome
    assert welcome["data"] == {
        "epoch": 1,
        "last_seq": 0,
        "heartbeat_s": 15,
        "limits": {"max_text_chars": 8_000, "max_frame_bytes": 65_536, "messages_per_minute": 7},
        "mode": "bot",
        "brand": {"name": "木光"},
        "greeting": "您好！",
        "handoff": {"email": "help@shop.example", "phone": "+49 1", "hours": "九点到五点"},
    }
    english = await (await visitor.connect(locale="de-DE")).next("welcome")
    assert english["data"]["greeting"] == "Hello!"


async def test_the_locale_of_the_token_holds_where_the_hello_has_none(start: StartRig) -> None:
    rig = await start(extra={"brand": {"greeting": {"en": "Hello!", "zh": "您好！"}}})
    visitor = await rig.visitor()
    socket = await visitor.upgrade()
    await socket.send("hello", token=await visitor.token(locale="zh-CN"))
    assert (await socket.next("welcome"))["data"]["greeting"] == "您好！"


async def test_a_token_opens_one_socket(visitor: VisitorClient) -> None:
    token = await visitor.token()
    first, second = await visitor.upgrade(), await visitor.upgrade()
    await first.send("hello", token=token)
    await first.next("welcome")
    await second.send("hello", token=token)
    assert (await second.next("error"))["data"]["code"] == "unauthorized"
    assert await second.closed() == 4401


async def test_a_token_expires(rig: Rig, visitor: VisitorClient) -> None:
    answer = await visitor.post_token(visitor_id=visitor.visitor_id, visitor_secret=visitor.secret)
    rig.clock.now += answer["expires_s"]
    socket = await visitor.upgrade()
    await socket.send("hello", token=answer["token"])
    assert await socket.closed() == 4401
    assert answer["expires_s"] <= 30


async def test_a_token_of_another_origin_is_refused_and_used_up(start: StartRig) -> None:
    rig = await start(allowed_origins=["*"])
    visitor = await rig.visitor(origin=SHOP)
    token = await visitor.token()
    elsewhere = VisitorClient(rig, "https://elsewhere.example")
    for client, code in ((elsewhere, 4403), (visitor, 4401)):
        socket = await client.upgrade()
        await socket.send("hello", token=token)
        assert await socket.closed() == code


@pytest.mark.parametrize(
    "pair",
    [
        {"visitor_id": "v_other"},
        {"visitor_secret": "wrong"},
        {"visitor_secret": None},
        {"visitor_id": None},
    ],
)
async def test_a_wrong_pair_of_id_and_secret_is_401(rig: Rig, visitor: VisitorClient, pair: dict[str, object]) -> None:
    body = {"visitor_id": visitor.visitor_id, "visitor_secret": visitor.secret} | pair
    async with rig.http.post(rig.url("/v1/visitor-tokens"), json=body) as response:
        assert response.status == 401
        assert (await response.json())["error"]["code"] == "unauthorized"


async def test_where_too_many_tokens_are_unused_whoever_has_the_most_loses_the_oldest() -> None:
    clock = Clock()
    tickets = Tickets(ttl_s=30, clock=clock, max_tickets=4)
    early = await tickets.issue(TICKET, network="192.0.2.1")
    flood = [await tickets.issue(TICKET, network="192.0.2.2") for _ in range(10)]
    late = await tickets.issue(TICKET, network="192.0.2.3")
    for token in (early, late, *flood[-2:]):
        assert await tickets.redeem(token, origin=SHOP) is TICKET
    for token in flood[:-2]:
        with pytest.raises(Refusal, match="unknown, used or expired"):
            await tickets.redeem(token, origin=SHOP)


async def test_unused_tokens_leave_nothing_behind_when_they_expire() -> None:
    clock = Clock()
    tickets = Tickets(ttl_s=30, clock=clock)
    for number in range(3):
        await tickets.issue(TICKET, network=str(number))
    clock.now += 30
    last = await tickets.issue(TICKET, network="last")
    assert (len(tickets._tickets), list(tickets._by_network)) == (1, ["last"])
    assert await tickets.redeem(last, origin=SHOP) is TICKET
    assert not tickets._by_network


@pytest.mark.parametrize("frame", [{"type": "ping"}, {"type": "message", "client_msg_id": "a", "text": "hi"}])
async def test_any_frame_before_hello_is_4401(visitor: VisitorClient, frame: dict[str, str]) -> None:
    socket = await visitor.upgrade()
    await socket.websocket.send_json(frame)
    assert (await socket.next("error"))["data"]["code"] == "hello_expected"
    assert await socket.closed() == 4401


async def test_a_malformed_first_frame_is_4401(visitor: VisitorClient) -> None:
    socket = await visitor.upgrade()
    await socket.websocket.send_str("hello?")
    assert (await socket.next("error"))["data"]["code"] == "not_json"
    assert await socket.closed() == 4401


async def test_silence_before_hello_is_4408(start: StartRig) -> None:
    rig = await start(hello_timeout_s=0.05)
    visitor = await rig.visitor()
    assert await (await visitor.upgrade()).closed() == 4408


async def test_a_second_hello_is_an_error_and_no_more(visitor: VisitorClient) -> None:
    socket = await visitor.join()
    await socket.send("hello", token=await visitor.token())
    assert (await socket.next("error"))["data"]["code"] == "hello_repeated"
    await socket.say("still here")
    await socket.until_answered()


async def test_a_wrong_origin_is_403_before_the_upgrade_and_names_the_setting(rig: Rig) -> None:
    headers = {"Origin": "https://evil.example"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await rig.http.ws_connect(rig.url("/v1/ws"), headers=headers)
    assert refused.value.status == 403
    async with rig.http.post(rig.url("/v1/visitor-tokens"), json={}, headers=headers) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (403, "wrong_origin")
        assert "https://evil.example" in error["message"]
        assert "allowed_origins" in error["message"]
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_servers_own_page_and_listed_pages_may_connect(start: StartRig) -> None:
    rig = await start(allowed_origins=[SHOP])
    for origin in (rig.own_origin, SHOP):
        visitor = await rig.visitor(origin=origin)
        await visitor.join()


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://shop.example", "other.example", True),
        ("HTTPS://Shop.Example", "other.example", True),
        ("https://shop.example:8443", "other.example", False),
        ("http://shop.example", "other.example", False),
        ("https://shop.example.evil.example", "other.example", False),
        ("https://chat.example", "chat.example", True),
        ("https://chat.example", "chat.example:443", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://127.0.0.1:8081", "127.0.0.1:8080", False),
        ("null", "chat.example", False),
        ("null", "null", False),
        ("http://[", "chat.example", False),
        ("", "", False),
    ],
)
def test_origins_are_compared_whole(origin: str, host: str, allowed: bool) -> None:
    assert Origins(["https://shop.example/"]).allows(origin, host=host) is allowed


def test_a_star_allows_every_origin() -> None:
    assert Origins(["*"]).allows("null", host="chat.example")


async def test_browsers_of_allowed_pages_are_answered_their_preflight(start: StartRig) -> None:
    rig = await start(allowed_origins=[SHOP])
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    async with rig.http.options(rig.url("/v1/visitor-tokens"), headers=asked) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Vary"] == "Origin"
    async with rig.http.options(rig.url("/v1/visitor-tokens"), headers=asked | {"Origin": "https://x.y"}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_allowed_pages_may_read_errors_too(start: StartRig) -> None:
    rig = await start(allowed_origins=[SHOP])
    async with rig.http.get(rig.url("/v1/nothing"), headers={"Origin": SHOP}) as response:
        assert response.status == 404
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"


def test_which_closes_are_worth_a_reconnect() -> None:
    assert {code for code in CloseCode if not code.is_resumable} == {4400, 4403, 4409}


@pytest.mark.parametrize("path", ["/", "/widget.js", "/healthz", "/v1/nothing", "/nothing", "/v1/visitor-tokens"])
async def test_every_answer_has_the_security_headers(rig: Rig, path: str) -> None:
    async with rig.http.get(rig.url(path)) as response:
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Server" not in headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy.get("script-src", policy["default-src"]) in ("'self'", "'none'")
        assert policy["frame-ancestors"] == "'none'"
        shared = "cross-origin" if path == "/widget.js" else "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == shared


async def test_an_upgraded_socket_has_no_server_header_either(visitor: VisitorClient) -> None:
    socket = await visitor.upgrade()
    assert "Server" not in socket.websocket._response.headers
    assert socket.websocket._response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_foreign_page_changes_nothing_and_reads_no_answer(rig: Rig) -> None:
    foreign = {"Origin": "https://evil.example"}
    for path in ("/", "/nothing", "/webhooks/rest/webhook", "/v1/visitor-tokens", "/metrics"):
        async with rig.http.post(rig.url(path), data="{}", headers=foreign) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers
    for path in ("/", "/healthz", "/metrics"):
        async with rig.http.get(rig.url(path), headers=foreign) as response:
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_metrics_are_for_this_machine_and_not_for_whom_a_proxy_on_it_speaks(start: StartRig) -> None:
    rig = await start()
    async with rig.http.get(rig.url("/metrics")) as response:
        assert "assistant_http_requests_total" in await response.text()
    for header in ({"X-Forwarded-For": "1.2.3.4"}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}):
        async with rig.http.get(rig.url("/metrics"), headers=header) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (401, "unauthorized")
    opened = await start(metrics_open=True)
    async with opened.http.get(opened.url("/metrics"), headers={"X-Forwarded-For": "1.2.3.4"}) as response:
        assert response.status == 200


async def test_metrics_are_for_the_admin_key(start: StartRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = await start()
    admin = Admin("the-admin-key", ScriptedEditor())
    monkeypatch.setattr(rig.gateway, "parts", dataclasses.replace(rig.parts, admin=admin))
    proxied = {"X-Forwarded-For": "1.2.3.4"}
    for key, status in (("the-admin-key", 200), ("the-admin-kez", 401), ("", 401), ("the-admin-key2", 401)):
        headers = proxied | {"Authorization": f"Bearer {key}"}
        async with rig.http.get(rig.url("/metrics"), headers=headers) as response:
            assert response.status == status


async def test_a_token_is_of_one_tenant(start: StartRig, tmp_path: Path) -> None:
    rig = await start(extra={"tenants": {"second": {"root": tmp_path}}})
    here, there = await rig.visitor(), await rig.visitor(tenant="second")
    socket = await here.join()
    await socket.say("for the first shop alone")
    await socket.until_answered()
    pair = {"visitor_id": here.visitor_id, "visitor_secret": here.secret}
    async with rig.http.post(rig.url("/v1/visitor-tokens"), json=pair | {"tenant": "second"}) as response:
        assert response.status == 401
    elsewhere = await there.connect(conversation_id=socket.conversation_id)
    await elsewhere.next("welcome")
    assert (await elsewhere.next("resume_failed"))["data"]["reason"] == "unknown_conversation"
