"""Ends: dead peers, draining, signals."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket as sockets
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from assistant.config import Settings
from assistant.errors import ConfigError
from assistant.gateway import app as gateway_app
from assistant.gateway.app import make_app, serve
from assistant.gateway.descriptors import raise_descriptor_limit
from assistant.gateway.protocol import CloseCode
from tests.databases import opened
from tests.gateway.conftest import StartRig
from tests.gateway.rig import PATIENCE_S, Rig, ScriptedResponder, SocketClient, VisitorClient, build_parts

pytestmark = pytest.mark.unit


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[web.Application]:
    database = await opened(settings.log_url)
    parts, manager = build_parts(settings, database, ScriptedResponder(), [])
    yield make_app(parts)
    await manager.close()
    await database.close()


async def serving(app: web.Application) -> tuple[asyncio.Task[None], str]:
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, host="127.0.0.1", port=0, on_listening=listening.set_result))
    return task, await asyncio.wait_for(listening, PATIENCE_S)


async def test_draining_closes_every_socket_with_4503_and_lets_none_in(rig: Rig, visitor: VisitorClient) -> None:
    joined, nameless = await visitor.join(), await visitor.upgrade()
    _, *codes = await asyncio.gather(rig.gateway.sockets.drain(), joined.closed(), nameless.closed())
    assert codes == [4503, 4503]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.upgrade()
    assert refused.value.status == 503
    assert refused.value.headers is not None
    assert refused.value.headers["Retry-After"] == "2"
    async with rig.http.get(rig.url("/readyz")) as ready:
        assert (await ready.json())["missing"] == ["shutting down"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_the_sockets_first_and_cleans_up_then(
    app: web.Application, number: signal.Signals
) -> None:
    order = []

    async def parts_open(_: web.Application) -> AsyncIterator[None]:
        yield
        order.append("cleaned up")

    app.cleanup_ctx.append(parts_open)
    task, url = await serving(app)
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/v1/visitor-tokens", json={}) as response:
            token = (await response.json())["token"]
        socket = SocketClient(await http.ws_connect(f"{url}/v1/ws"))
        await socket.send("hello", token=token)
        await socket.until("resumed")
        os.kill(os.getpid(), number)
        order.append(str(await socket.closed()))
        await asyncio.wait_for(task, PATIENCE_S)
    assert order == ["4503", "cleaned up"]
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))


async def test_a_taken_port_is_told_with_the_setting(app: web.Application) -> None:
    with sockets.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"\[gateway\] host or port"):
            await serve(app, host="127.0.0.1", port=taken.getsockname()[1])


async def test_a_request_whose_headers_do_not_arrive_is_cut_off(
    app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_app, "KEEPALIVE_S", 0.05)
    task, url = await serving(app)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET /healthz HTTP/1.1\r\nHost:")
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()
    await writer.wait_closed()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, PATIENCE_S)


async def test_a_peer_that_answers_no_ping_is_dropped(start: StartRig) -> None:
    rig = await start(heartbeat_s=0.1, hello_timeout_s=60)
    dead = await rig.http.ws_connect(rig.url("/v1/ws"), autoping=False)
    kinds = [message.type async for message in dead]
    assert kinds == [aiohttp.WSMsgType.PING]
    assert dead.close_code == 1006


async def test_a_peer_that_reads_nothing_does_not_hold_up_the_shutdown(
    rig: Rig, visitor: VisitorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.gateway.wire.CLOSE_S", 0.05)
    monkeypatch.setattr("assistant.gateway.sockets.LAST_LOOK_S", 0.05)
    rig.responder.sentences = ["All work and no play. " * 1_000] * 50
    socket = await visitor.join()
    transport = socket.websocket._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()
    for number in range(5):
        await socket.say("tell me a very long story", f"m{number}")
    [opened] = rig.gateway.sockets._open
    protocol = opened._wire._request.protocol  # type: ignore[attr-defined]
    while not protocol._paused:  # noqa: ASYNC110 - aiohttp tells nobody
        await asyncio.sleep(0)
    buffers = protocol.transport
    await asyncio.wait_for(rig.gateway.sockets.drain(), PATIENCE_S)
    assert rig.gateway.sockets._open == set()
    assert buffers.get_write_buffer_size() == 0
    transport.abort()


async def test_shutdown_waits_for_the_answer_that_is_written_and_sends_it_before_the_socket_closes(rig: Rig) -> None:
    rig.responder.holds = True
    asking, idle = await (await rig.visitor()).join(), await (await rig.visitor()).join()
    await asking.say("answer me first")
    await asking.until("delta")
    draining = asyncio.create_task(rig.gateway.sockets.drain(rig.parts.manager.drain(within_s=PATIENCE_S)))
    assert await idle.closed() == 4503
    await asking.say("one more", "late")
    assert (await asking.until("busy"))["data"]["client_msg_id"] == "late"
    for _ in range(2):
        rig.responder.go.put_nowait(None)
    final = (await asking.until_answered())["data"]
    assert (final["finish_reason"], final["text"]) == ("stop", "You have 30 days. Shoes have 60.")
    assert await asking.closed() == 4503
    await draining


async def test_an_answer_that_takes_too_long_is_cut_short_sent_and_kept(rig: Rig) -> None:
    rig.responder.holds = True
    visitor = await rig.visitor()
    socket = await visitor.join()
    await socket.say("answer me slowly")
    await socket.until("delta")
    draining = asyncio.create_task(rig.gateway.sockets.drain(rig.parts.manager.drain(within_s=0.05)))
    final = (await socket.until_answered())["data"]
    assert (final["finish_reason"], final["text"]) == ("interrupted", "You have 30 days.")
    assert await socket.closed() == 4503
    await draining


async def test_the_close_frame_says_when_to_come_back_and_not_all_at_once(rig: Rig) -> None:
    joined = [await (await rig.visitor()).join() for _ in range(8)]
    reasons = []

    async def reason(socket: SocketClient) -> None:
        message = await socket.websocket.receive(timeout=PATIENCE_S)
        assert message.data == CloseCode.DRAINING
        reasons.append(str(message.extra))

    await asyncio.gather(rig.gateway.sockets.drain(), *(reason(socket) for socket in joined))
    found = [re.fullmatch(r"draining; retry_after_ms=(\d+)", text) for text in reasons]
    advice = [int(match[1]) for match in found if match]
    assert len(advice) == 8
    assert min(advice) >= 1_000
    assert max(advice) <= 5_000
    assert len(set(advice)) > 1


def test_serving_begins_with_as_many_descriptors_as_the_process_may_have() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert raise_descriptor_limit(1_000) == 1_000
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1_000, hard)
        assert raise_descriptor_limit(500) == 1_000, "it is never lowered"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
