"""Clients that hold a connection without using it, and bytes that are no HTTP or websocket, over raw sockets."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from assistant.gateway import app as gateway_app
from assistant.gateway import rest, wire
from tests.gateway.conftest import StartRig

unit, reliability = pytest.mark.unit, pytest.mark.reliability

CUT_S = 15.0
DRIP_S = 0.5
HOST = b"Host: 127.0.0.1\r\n"
UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n%b\r\n"
)
POST = b"POST /v1/visitor-tokens HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"

# What is sent at once, and what is then sent again and again: nothing, or a byte or a line at a time.
SLOW: dict[str, tuple[bytes, bytes]] = {
    "says nothing": (b"", b""),
    "half a request line": (b"GET /heal", b""),
    "a dripping request line": (b"GET /", b"x"),
    "dripping headers": (b"GET /healthz HTTP/1.1\r\n" + HOST, b"X-A: b\r\n"),
    "one dripping header": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-A: ", b"x"),
    "a second request that stops": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /he", b""),
    "a body that does not come": (POST + b"Content-Length: 1000\r\n\r\n", b""),
    "a dripping body": (POST + b"Content-Length: 1000\r\n\r\n{", b" "),
    "dripping chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "half a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n", b"x"),
    "a dripping body nobody asked for": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", b"x"),
    "a dripping body for nothing": (b"POST /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", b"x"),
    "an upgrade and no frame": (UPGRADE % b"", b""),
    "an upgrade and half a frame": (UPGRADE % b"" + b"\x81\xff", b"\x00"),
    "an upgrade and pings alone": (UPGRADE % b"", b"\x89\x80\x00\x00\x00\x00"),
}

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture
def limits() -> dict[str, float]:
    """Settings of the gateway."""
    return {}


@pytest.fixture
async def connect(start: StartRig, limits: dict[str, float]) -> AsyncIterator[Connect]:
    """Raw connections to the application as `serve` runs it, time limits and log included."""
    rig = await start(**limits)
    runner = gateway_app.make_runner(rig.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()
    await runner.cleanup()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]) -> None:
    limits["hello_timeout_s"] = 0.1
    monkeypatch.setattr(gateway_app, "KEEPALIVE_S", 0.1)
    monkeypatch.setattr(gateway_app, "LINGER_S", 0.1)
    monkeypatch.setattr(rest, "BODY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(wire, "CLOSE_S", 0.1)


async def held_s(connect: Connect, first: bytes, drip: bytes, *, every_s: float) -> float:
    """How long the server bears with a client that goes on like this."""
    reader, writer = await connect()
    began_at = time.monotonic()
    writer.write(first)
    dripping = asyncio.create_task(_drip(writer, drip, every_s))
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    return time.monotonic() - began_at


async def _drip(writer: asyncio.StreamWriter, drip: bytes, every_s: float) -> None:
    while drip:
        await asyncio.sleep(every_s)
        writer.write(drip)


@reliability
async def test_whoever_holds_a_connection_without_using_it_is_cut_within_15_s(connect: Connect) -> None:
    async with asyncio.timeout(2 * CUT_S):
        clients = (held_s(connect, first, drip, every_s=DRIP_S) for first, drip in SLOW.values())
        took = dict(zip(SLOW, await asyncio.gather(*clients), strict=True))
    assert {name: round(s, 1) for name, s in took.items() if s > CUT_S} == {}
    assert max(took.values()) > 5  # they were cut by the limits under test, not by an error at once


@unit
@pytest.mark.parametrize("name", SLOW)
async def test_a_slow_client_is_cut_when_its_limits_have_passed(short: None, connect: Connect, name: str) -> None:
    first, drip = SLOW[name]
    assert await held_s(connect, first, drip, every_s=0.02) < 3


def _masked(opcode: int, payload: bytes, *, flags: int = 0x80) -> bytes:
    mask = b"\x01\x02\x03\x04"
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return struct.pack("!BB", flags | opcode, 0x80 | len(payload)) + mask + body


async def _upgraded(
    connect: Connect, extensions: bytes = b""
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await connect()
    writer.write(UPGRADE % extensions)
    return await reader.readuntil(b"\r\n\r\n"), reader, writer


@unit
async def test_compression_is_not_agreed_to_and_a_compressed_frame_ends_the_socket(connect: Connect) -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    head, reader, writer = await _upgraded(connect, offer)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"extensions" not in head.lower()
    writer.write(_masked(1, b"\xaaV\x00", flags=0x80 | 0x40))
    frame = await asyncio.wait_for(reader.readexactly(4), 5)
    assert (frame[0] & 0x0F, struct.unpack("!H", frame[2:])) == (8, (1002,))


@unit
async def test_what_is_no_http_gets_400_and_no_log_line_quotes_it(
    connect: Connect, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    canary = b"canary-3b1e"
    for broken in (
        b"\x16\x03\x01\x02\x00\x01" + canary,
        b"GET " + canary,
        b"GET / HTTP/1.1\r\nAuthorization Bearer " + canary,
        b"GET / HTTP/1.1\r\nAuthorization: Bearer\x00" + canary,
        b"GET /?token=" + canary + b" HTTP/9",
        b"POST / HTTP/1.1\r\nContent-Length: " + canary,
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nX: " + canary,
    ):
        reader, writer = await connect()
        writer.write(broken + b"\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.0 400 "), broken
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "http_malformed" in logged
    assert canary.decode() not in logged


@unit
async def test_headers_over_the_limit_are_refused(connect: Connect) -> None:
    for header in (b"X-A: " + b"a" * 9_000 + b"\r\n", b"X-A: b\r\n" * 200):
        reader, writer = await connect()
        writer.write(b"GET /healthz HTTP/1.1\r\n" + HOST + header + b"\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.0 400 ")
