"""A websocket as the gateway sees it: text in, frames out, one way to end.

Bounds: a frame is at most ``max_frame_bytes`` (4413); what is announced as more than `HARD_LIMIT` times
that is closed by aiohttp with 1009 before it is read. What is sent and not read is at most two of aiohttp's
buffers of 64 KiB and one frame; whoever takes nothing of it for ``slow_reader_s`` is closed (4408).
`CLOSE_S` for the last farewell.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

from aiohttp import WSMsgType, web

from assistant.config import GatewaySettings
from assistant.gateway.frames import Frame, to_json
from assistant.gateway.protocol import CloseCode, Refusal

HARD_LIMIT = 2
CLOSE_S = 4.0
SMALL_CHARS = 8_192  # at most 32 KiB, half of what asyncio buffers before a writer has to wait
DRAINING_RETRY_MS = (1_000, 5_000)  # spread, so that a server that comes back is not stormed
ABNORMAL = 1006  # RFC 6455: the connection ended without a close frame


class Ended(Exception):
    """The talk over a socket is over; without a code the other side has left."""

    def __init__(self, code: CloseCode | None = None) -> None:
        super().__init__(code)
        self.code = code


class Wire:
    """One upgraded connection. Only one task may send at a time, and only one receive."""

    def __init__(self, request: web.Request, settings: GatewaySettings) -> None:
        self._request = request
        self._max_frame_bytes = settings.max_frame_bytes
        self._slow_reader_s = settings.slow_reader_s
        self.websocket = web.WebSocketResponse(
            heartbeat=settings.heartbeat_s,
            max_msg_size=HARD_LIMIT * settings.max_frame_bytes,
            compress=False,
            timeout=CLOSE_S,
        )

    async def receive(self) -> str:
        """The next text frame. Raises `Refusal` for any other, `Ended` when the other side has left."""
        message = await self.websocket.receive()
        if message.type is WSMsgType.BINARY:
            raise Refusal("binary_frame", "The frame is binary.", fix="Send JSON in a text frame.")
        if message.type is not WSMsgType.TEXT:
            raise Ended
        num_bytes = len(message.data.encode())
        if num_bytes > self._max_frame_bytes:
            raise Refusal(
                "too_large",
                f"The frame has {num_bytes} bytes; the limit is {self._max_frame_bytes}.",
                fix="Send less at once.",
                close_code=CloseCode.TOO_LARGE,
            )
        return str(message.data)

    async def send(self, frame: Frame) -> None:
        """Send a frame, waiting while the other side reads too slowly. Raises `Ended`, also where it reads nothing."""
        text = to_json(frame)
        try:
            if self._goes_at_once(text):
                await self.websocket.send_str(text)
                return
            async with asyncio.timeout(self._slow_reader_s):
                await self.websocket.send_str(text)
        except TimeoutError as error:
            raise Ended(CloseCode.IDLE) from error
        except ConnectionError as error:
            raise Ended from error

    def _goes_at_once(self, text: str) -> bool:
        """Whether nothing waits before this frame and it cannot fill the buffer, so that no clock has to run for it."""
        transport = self._request.transport
        return transport is not None and not transport.get_write_buffer_size() and len(text) <= SMALL_CHARS

    async def close(self, code: CloseCode | None) -> int:
        """Say good-bye and wait `CLOSE_S` for the answer; gives the code the connection ended with."""
        if code is not None:
            with contextlib.suppress(ConnectionError):
                # aiohttp shares one future among all who wait for a full buffer, and a cancelled `send` leaves it
                # cancelled: who drains next gets a CancelledError that nobody asked for.
                await self.websocket.close(code=code, message=_reason(code).encode(), drain=False)
        closed_with = self.websocket.close_code or ABNORMAL
        if closed_with == ABNORMAL and self._request.transport is not None:
            self._request.transport.abort()  # aiohttp only closes it, and waits for ever for buffers that nobody reads
        return code or closed_with


def _reason(code: CloseCode) -> str:
    """What the close frame says: the code's name, and for a server that goes away when to come back."""
    if code is not CloseCode.DRAINING:
        return code.name.lower()
    return f"draining; retry_after_ms={random.randint(*DRAINING_RETRY_MS)}"  # noqa: S311 - a spread, no secret
