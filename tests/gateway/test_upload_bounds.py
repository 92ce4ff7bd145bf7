"""Nobody takes the room or the places of all the others' files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest

from assistant.conversation.attachments import MAX_OPEN, TTL_S, UNUSED_S, Upload
from assistant.conversation.events import ConversationId, VisitorId
from assistant.gateway.protocol import Refusal
from assistant.gateway.upload_places import MAX_AT_ONCE, MAX_OF_ADDRESS, MAX_OF_VISITOR, UploadPlaces
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig
from tests.gateway.sample_files import png
from tests.gateway.test_uploads import files_of, sender_of, until_files

pytestmark = pytest.mark.unit


def upload(number: int, visitor: str) -> Upload:
    place = (f"u_{number}", ConversationId("c_1"), VisitorId(visitor), "default")
    return Upload(*place, "a.png", "image/png", 9, "", "open", "2026-01-01T00:00:00.000Z")


def num_taken(places: UploadPlaces, files: list[tuple[Upload, list[str]]]) -> int:
    """How many of these may come in together."""
    num = 0
    with ExitStack() as held:
        for file, networks in files:
            try:
                held.enter_context(places.taken(file, networks))
            except Refusal:
                continue
            num += 1
    return num


def test_a_visitor_an_address_and_a_network_have_some_of_the_places() -> None:
    places, numbers = UploadPlaces(), range(100)
    assert num_taken(places, [(upload(n, "v_1"), [f"192.0.2.{n}"]) for n in numbers]) == MAX_OF_VISITOR
    assert num_taken(places, [(upload(n, f"v_{n}"), ["192.0.2.1"]) for n in numbers]) == MAX_OF_ADDRESS
    wide = [(upload(n, f"v_{n}"), [f"2001:db8:0:{n:x}::/64", "2001:db8::/48"]) for n in numbers]
    assert num_taken(places, wide) == 2 * MAX_OF_ADDRESS
    assert num_taken(places, [(upload(n, f"v_{n}"), [f"192.0.2.{n}"]) for n in numbers]) == MAX_AT_ONCE
    assert num_taken(places, [(upload(1, "v_1"), ["192.0.2.1"])] * 3) == 1, "one request at a time for each file"


async def test_slow_files_of_one_address_leave_places_for_another(start: StartRig) -> None:
    rig = await start(trusted_proxies=["127.0.0.1"])
    over, data = asyncio.Event(), png(extra=b"x" * 500)

    async def held() -> AsyncIterator[bytes]:
        yield data[:100]
        await over.wait()
        yield data[100:]

    sending = []
    for _ in range(MAX_OF_ADDRESS):
        sender, _ = await sender_of(rig)
        headers = {"Content-Length": str(len(data)), "X-Forwarded-For": "192.0.2.1"}
        sending.append(asyncio.create_task(sender.put(await sender.place(data), held(), **headers)))
    async with asyncio.timeout(5):
        await until_files(rig, MAX_OF_ADDRESS)
    sender, _ = await sender_of(rig)
    place = await sender.place(data)
    assert (await sender.put(place, data, **{"X-Forwarded-For": "192.0.2.1"})).status == 429
    assert (await sender.put(place, data, **{"X-Forwarded-For": "192.0.2.2"})).status == 200
    over.set()
    assert [(await response).status for response in sending] == [200] * MAX_OF_ADDRESS


async def test_announcements_that_nobody_used_take_no_room(start: StartRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = await start(extra={"uploads": {"total_mb": 1}})
    half = png(extra=b"x" * 600_000)
    first, _ = await sender_of(rig)
    assert (await first.announce(half)).status == 201
    honest, _ = await sender_of(rig)
    assert (await honest.announce(half)).status == 503
    _let_pass(monkeypatch, rig, TTL_S + 1)
    await honest.send(half)
    assert (await honest.announce(half)).status == 503, "what is stored keeps its room"
    _let_pass(monkeypatch, rig, 3 * TTL_S)
    assert (await honest.announce(half)).status == 503


async def test_what_was_announced_and_not_sent_is_none_of_the_days_files(
    start: StartRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start(extra={"uploads": {"visitor_files_per_day": MAX_OPEN}})
    sender, _ = await sender_of(rig)
    for _ in range(MAX_OPEN):
        await sender.place(png())
    assert (await sender.announce(png())).status == 429
    _let_pass(monkeypatch, rig, TTL_S + 1)
    await sender.send(png())


async def test_sweeping_removes_what_was_not_sent_in_time_and_not_what_is_coming(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, _ = await sender_of(rig)
    over, data = asyncio.Event(), png(extra=b"x" * 500)

    async def held() -> AsyncIterator[bytes]:
        yield data[:100]
        await over.wait()
        yield data[100:]

    unused, coming = await sender.place(data), await sender.place(data)
    sending = asyncio.create_task(sender.put(coming, held(), **{"Content-Length": str(len(data))}))
    async with asyncio.timeout(5):
        await until_files(rig, 1)
    attachments: Any = rig.parts.attachments
    assert await attachments.sweep() == 0
    _let_pass(monkeypatch, rig, UNUSED_S + 1)
    assert await attachments.sweep() == 1
    assert await attachments.find(unused["upload_id"]) is None
    over.set()
    assert (await sending).status == 200
    assert [path.name for path in files_of(rig)] == [coming["upload_id"]]


def _let_pass(monkeypatch: pytest.MonkeyPatch, rig: Rig, seconds: float) -> None:
    monkeypatch.setattr(rig.parts.attachments, "_clock", lambda: time.time() + seconds)
