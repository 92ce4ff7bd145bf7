"""Whole sessions with known secrets: they stand in no log line, no URL, nobody else's answer, and on no disk."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import yarl
from aiohttp import web

from assistant.config import Settings
from assistant.gateway.app import make_runner
from assistant.gateway.identity import signed_text
from tests.gateway.conftest import StartRig
from tests.gateway.rig import VisitorClient

pytestmark = pytest.mark.unit

IDENTITY_KEY = "canary-key-5d1f-of-the-site-0123456789"
ADMIN_KEY = "canary-admin-5d1f"
REDIS_PASSWORD = "canary-redis-5d1f"


class Wiretap:
    """What one client received, and the URLs it asked for."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.received: list[str] = []

    def config(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()

        async def asked(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
            self.urls.append(str(params.url))

        async def received(_: object, __: object, params: aiohttp.TraceResponseChunkReceivedParams) -> None:
            self.received.append(params.chunk.decode("utf-8", "replace"))

        trace.on_request_start.append(asked)
        trace.on_response_chunk_received.append(received)
        return trace


def proof(user_id: str, nonce: str) -> dict[str, object]:
    expires = int(time.time()) + 300
    text = signed_text("default", user_id, expires, nonce=nonce)
    return {
        "user_id": user_id,
        "expires": expires,
        "nonce": nonce,
        "signature": hmac.new(IDENTITY_KEY.encode(), text, hashlib.sha256).hexdigest(),
    }


async def play(visitor: VisitorClient, **identity: object) -> set[str]:
    """A customer's whole session with everything that can go wrong in it; gives the secrets that were in it."""
    await visitor.meet(**identity)
    token, spare = await visitor.token(), await visitor.token()
    for wrong in (token[8:] + "wrong-er", visitor.secret):
        socket = await visitor.upgrade()
        await socket.send("hello", token=wrong)
        await socket.closed()
    for _ in range(2):  # the second time it is used up
        socket = await visitor.upgrade()
        await socket.send("hello", token=token)
        await socket.next()
    socket = await visitor.join()
    await socket.say("where is my parcel?")
    await socket.until_answered()
    await socket.send("hello", token=spare)
    await socket.send("message", client_msg_id="x", text="y", token=spare)
    await socket.until("error", code="bad_frame")
    await visitor.get_events(socket.conversation_id)
    http, headers = visitor.rig.http, {"Authorization": f"Bearer {visitor.secret[:-1]}"}
    await http.get(visitor.rig.url("/v1/conversations/c_1/events"), headers=headers)
    pair = {"visitor_id": visitor.visitor_id, "visitor_secret": visitor.secret}
    for body in (pair | {"visitor_id": "v_1"}, pair | {"extra": token}, pair | {"identity": {"jwt": "a.b.c"}}):
        await http.post(visitor.rig.url("/v1/visitor-tokens"), json=body)
    await http.post(visitor.rig.url("/v1/visitor-tokens"), data=f'{{"visitor_secret": "{visitor.secret}"')
    return {token, spare, visitor.secret}


@pytest.fixture
def everything_logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG)
    return lambda: "".join(capfd.readouterr()) + caplog.text


async def test_no_secret_of_a_session_is_logged_kept_or_shown_to_anybody_else(
    start: StartRig, settings: Settings, tmp_path: Path, everything_logged: Callable[[], str]
) -> None:
    key_file = tmp_path / "identity.key"
    key_file.write_text(IDENTITY_KEY)
    identity = {"algorithm": "hmac", "key_file": key_file}
    rig = await start(extra={"identity": identity}, redis_url=f"redis://:{REDIS_PASSWORD}@127.0.0.1:1/0")
    taps = [Wiretap(), Wiretap(), Wiretap()]
    proofs = [None, proof("u-1", "n1"), proof("u-2", "n2")]
    secrets: list[set[str]] = []
    own = rig.http
    for tap, signed in zip(taps, proofs, strict=True):
        async with aiohttp.ClientSession(trace_configs=[tap.config()]) as rig.http:
            try:
                secrets.append(await play(VisitorClient(rig, None), **({"identity": signed} if signed else {})))
            finally:
                rig.http = own
    for tap, mine in zip(taps, secrets, strict=True):
        assert mine & set("".join(tap.received).split('"')), "each was told its own: the search would have found it"
        others = set.union(*secrets) - mine
        assert not [secret for secret in others for text in tap.received if secret in text]
    signatures = {str(signed["signature"]) for signed in proofs if signed}
    every = set.union(*secrets) | signatures | {IDENTITY_KEY, REDIS_PASSWORD}
    urls = " ".join(url for tap in taps for url in tap.urls)
    assert "/v1/visitor-tokens" in urls
    metrics = await (await rig.http.get(rig.url("/metrics"))).text()
    logged = everything_logged()
    assert "http_request" in logged
    assert "redis_down" in logged
    for where, text in (("a URL", urls), ("the log", logged), ("the metrics", metrics)):
        assert not [secret for secret in every if secret in text], f"a secret is in {where}"
    files = [path for path in settings.data_dir.rglob("*") if path.is_file()]
    assert any(b"where is my parcel" in path.read_bytes() for path in files)
    assert not [path for path in files for secret in every if secret.encode() in path.read_bytes()]


async def test_a_secret_in_a_url_or_a_broken_request_is_not_logged_either(
    start: StartRig, everything_logged: Callable[[], str]
) -> None:
    rig = await start()
    visitor = await rig.visitor()
    token = await visitor.token()
    runner = make_runner(rig.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    for path in (
        f"/v1/ws?token={token}",
        f"/{token}",
        f"/v1/conversations/{token}/events?x={token}",
        f"/static/{token}",
    ):
        await rig.http.get(yarl.URL(f"http://127.0.0.1:{port}{path}"), headers={"Cookie": f"session={token}"})
    for head in (f"GET / HTTP/1.1\r\nAuthorization {token}\r\n\r\n", f"{token} / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
    await runner.cleanup()
    logged = everything_logged()
    assert "http_malformed" in logged
    assert token not in logged
