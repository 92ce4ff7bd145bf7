"""Size, depth and length have one limit each, on both sockets and by HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from assistant.gateway.protocol import MAX_DEPTH
from tests.gateway.agents_rig import AgentClient, hire
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, VisitorClient

pytestmark = pytest.mark.unit

MAX_BYTES, MAX_CHARS = 2_048, 100
Ask = Callable[[str], Awaitable[str]]
Door = Callable[[Rig], Awaitable[Ask]]


async def visitors_socket(rig: Rig) -> Ask:
    return _on_a_socket(await rig.visitor())


async def agents_socket(rig: Rig) -> Ask:
    return _on_a_socket(await hire(rig))


def _on_a_socket(client: VisitorClient | AgentClient) -> Ask:
    async def ask(frame: str) -> str:
        socket = await client.join()
        await socket.websocket.send_str(frame)
        while (answer := await socket.next())["type"] not in ("ack", "error"):
            pass  # events that were missed, and what the message brings
        return str(answer["data"].get("code", "taken"))

    return ask


async def http(rig: Rig) -> Ask:
    visitor = await rig.visitor()
    headers = {"Authorization": f"Bearer {visitor.secret}"}

    async def ask(body: str) -> str:
        async with rig.http.post(rig.url("/v1/conversations"), data=body, headers=headers) as response:
            return str((await response.json()).get("error", {}).get("code", "taken"))

    return ask


def said(num_chars: int, **fields: str) -> str:
    return json.dumps({"client_msg_id": "a", "text": "x" * num_chars, **fields})


def deep(levels: int) -> str:
    return '{"type":' * levels + "1" + "}" * levels


REPLY = {"type": "reply", "conversation_id": "c_1"}


@pytest.mark.parametrize(
    ("door", "fields", "taken", "shallow"),
    [
        (visitors_socket, {"type": "message"}, "taken", "unknown_type"),
        (agents_socket, REPLY, "unknown_conversation", "unknown_type"),
        (http, {}, "taken", "bad_frame"),
    ],
)
async def test_each_limit_lies_at_the_same_place_everywhere(
    start: StartRig, door: Door, fields: dict[str, str], taken: str, shallow: str
) -> None:
    ask = await door(await start(max_frame_bytes=MAX_BYTES, max_text_chars=MAX_CHARS))
    message, too_long = said(MAX_CHARS, **fields), said(MAX_CHARS + 1, **fields)
    assert await ask(message.rjust(MAX_BYTES)) == taken
    assert await ask(message.rjust(MAX_BYTES + 1)) == "too_large"
    assert await ask(too_long) == "text_too_long"
    assert await ask(deep(MAX_DEPTH)) == shallow
    assert await ask(deep(MAX_DEPTH + 1)) == "too_deep"
