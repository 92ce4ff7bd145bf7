"""The process that sends webhooks is killed at random moments: every committed message arrives, in order."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import REPOSITORY
from tests.gateway.receiver import Receiver, listening
from tests.gateway.webhook_child import NUM_CONVERSATIONS

pytestmark = pytest.mark.reliability
NUM_KILLS, NUM_KILLS_LONG = 4, 50


async def test_no_kill_loses_a_webhook(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    chance = random.Random(5)

    async def moody(_: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=chance.choice([204] * 15 + [503]))

    async with listening() as receiver:
        receiver.answer = moody
        committed = -1
        for _ in range(NUM_KILLS_LONG if pytestconfig.getoption("--long") else NUM_KILLS):
            committed = await _run(tmp_path, receiver, committed + 1, seconds=chance.uniform(0.2, 1.0))
        await _run(tmp_path, receiver, committed + 1, upto=committed)
    _check(receiver, committed)


async def _run(folder: Path, receiver: Receiver, first: int, *, seconds: float = 0.0, upto: int = -1) -> int:
    """Start the child, kill it after so many seconds of work or once ``upto`` has arrived; gives the last committed."""
    arguments = ("-m", "tests.gateway.webhook_child", str(folder), receiver.url, str(first))
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=REPOSITORY, stdout=pipe)
    try:
        committed = await _numbers(child, receiver, first, seconds, upto)
    finally:
        child.kill()
        await child.wait()
    return committed


async def _numbers(child: asyncio.subprocess.Process, receiver: Receiver, first: int, seconds: float, upto: int) -> int:
    assert child.stdout is not None
    committed, until = first - 1, None
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(60):
        while line := await child.stdout.readline():
            if not line.strip().isdigit():
                continue  # a line of the log
            committed, until = int(line), until or clock() + seconds
            if clock() > until and _told(receiver) >= set(range(upto + 1)):
                return committed
    raise AssertionError("the child ended by itself")


def _told(receiver: Receiver) -> set[int]:
    return {int(webhook["data"]["text"]) for webhook in receiver.took}


def _check(receiver: Receiver, committed: int) -> None:
    assert committed > 50, "there was something to lose"
    assert _told(receiver) >= set(range(committed + 1))
    ids: dict[str, set[str]] = {}
    order: dict[str, list[int]] = {f"c_{number}": [] for number in range(NUM_CONVERSATIONS)}
    for webhook in receiver.took:
        text, told = webhook["data"]["text"], order[webhook["data"]["conversation_id"]]
        ids.setdefault(text, set()).add(webhook["id"])
        if int(text) not in told:
            told.append(int(text))
    assert all(len(one) == 1 for one in ids.values()), "a repeated webhook has the id of the first"
    assert all(told == sorted(told) for told in order.values())
