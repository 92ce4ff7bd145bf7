"""The server is killed at random moments: nothing acknowledged is lost, nothing is there twice, every answer comes."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.reliability.child import Child
from tests.reliability.customer import Customer, Frame, Held

pytestmark = pytest.mark.reliability

NUM_CUSTOMERS = 20
NUM_KILLS, NUM_KILLS_LONG = 20, 100
NUM_STOPS = 3
STOP_WITHIN_S = 30


@pytest.mark.timeout(1_800)
async def test_no_kill_loses_or_repeats_anything(child: Child, tmp_path: Path, is_long: bool) -> None:
    kills = NUM_KILLS_LONG if is_long else NUM_KILLS
    await _play(child, tmp_path, signal.SIGKILL, kills)


async def test_no_stop_loses_or_repeats_anything_and_each_ends_within_30_s(child: Child, tmp_path: Path) -> None:
    await _play(child, tmp_path, signal.SIGTERM, NUM_STOPS)


async def _play(child: Child, tmp_path: Path, number: signal.Signals, kills: int) -> None:
    async with aiohttp.ClientSession() as http:
        customers = [Customer(http, child.url) for _ in range(NUM_CUSTOMERS)]
        over = asyncio.Event()
        asking = asyncio.gather(*(_ask(customer, over) for customer in customers))
        chance = random.Random(kills)
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.02, 0.4))
            assert not asking.done(), asking.exception()
            await _restart(child, number)
        over.set()
        await asking
        assert await child.end(signal.SIGTERM) == 0
    stored = _stored(tmp_path / "conversations.sqlite3")
    for customer in customers:
        _compare(customer.held, stored[customer.held.conversation_id])
    assert sum(len(customer.held.acked) for customer in customers) > kills, "the crowd was asking all the time"
    assert sum(customer.num_drops for customer in customers) > kills


async def _restart(child: Child, number: signal.Signals) -> None:
    began_at = time.monotonic()
    assert await child.end(number) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    assert time.monotonic() - began_at < STOP_WITHIN_S
    await child.start()


async def _ask(customer: Customer, over: asyncio.Event) -> None:
    """One question after the other until it is over, and then until the last is answered."""

    said: set[str] = set()

    def say(held: Held) -> Frame | None:
        if is_enough(held):
            return None
        number = len(held.answered)
        said.add(f"m{number}")
        return {"client_msg_id": f"m{number}", "text": f"question number {number}, slow"}

    def is_enough(held: Held) -> bool:
        return over.is_set() and bool(said) and said <= held.answered

    await customer.until(is_enough, say=say)


def _stored(path: Path) -> dict[str, list[Frame]]:
    """Every conversation's public events as they lie on the disk, after a check of the whole database."""
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = database.execute(
            "SELECT conversation_id, position, seq, author, payload FROM events ORDER BY conversation_id, position"
        ).fetchall()
    database.close()
    found: dict[str, list[Frame]] = {}
    positions: Counter[str] = Counter()
    for conversation_id, position, seq, author, payload in rows:
        positions[conversation_id] += 1
        assert position == positions[conversation_id], "a gap in the positions"
        if seq is not None:
            found.setdefault(conversation_id, []).append({"seq": seq, "author": author, **json.loads(payload)})
    return found


def _compare(held: Held, stored: list[Frame]) -> None:
    def told(event: Frame) -> tuple[object, ...]:
        return tuple(event.get(name) for name in ("message_id", "text", "client_msg_id", "reply_to", "author"))

    assert [event["seq"] for event in stored] == list(range(1, len(stored) + 1))
    assert [told(frame["data"]) for frame in held.events] == [told(event) for event in stored]
    by_id = {event["client_msg_id"]: event["seq"] for event in stored if event["client_msg_id"]}
    assert held.acked.items() <= by_id.items(), "an acknowledged message is lost or has another number"
    asked = [event["message_id"] for event in stored if event["author"] == "customer"]
    replied = Counter(event["reply_to"] for event in stored if event["author"] == "assistant")
    assert replied == Counter(asked), "each question has exactly one answer"
