"""Agents in real processes of their own: claims that race, and accounts that are disabled from the command line."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter

import pytest

from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, Message, NewEvent, Opened
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitors
from assistant.gateway.protocol import CloseCode
from tests.gateway.agents_rig import PASSWORD, AgentClient
from tests.gateway.rig import start_rig, stop_rig

pytestmark = pytest.mark.reliability

NUM_PROCESSES = 4
NUM_CONVERSATIONS = 25
EMAIL = "mia@shop.example"
CLAIMER = """
import asyncio, sys
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId
from assistant.conversation.log import ConversationLog
from assistant.dialogue import takeover
from assistant.errors import TakenByAnother

async def main(url, name, *places):
    database = Database(url)
    await database.open()
    log, person = ConversationLog(database, Bus()), takeover.Person(name, name)
    print("ready", flush=True)
    sys.stdin.readline()
    for place in places:
        try:
            await log.append(ConversationId(place), [], first=lambda head: takeover.claim(head, person))
            print(place, name, flush=True)
        except TakenByAnother as taken:
            print(place, taken.holder, flush=True)
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_of_four_processes_that_claim_at_once_one_wins_and_all_know_who(settings: Settings) -> None:
    places = [f"c_{number}" for number in range(NUM_CONVERSATIONS)]
    database = await _with_conversations(settings, places)
    command = [sys.executable, "-c", CLAIMER, settings.log_url]
    claimers = [
        await asyncio.create_subprocess_exec(*command, f"a_{number}", *places, stdin=PIPE, stdout=PIPE)
        for number in range(NUM_PROCESSES)
    ]
    told = await _race(claimers)
    log = ConversationLog(database, Bus())
    for place in places:
        head = await log.head(ConversationId(place))
        assert told[place] == {head.assignee}, "the processes disagree about who has it"
        claims = Counter(event.kind for event in await log.events(ConversationId(place)))["state"]
        assert claims == 1
    await database.close()


async def _with_conversations(settings: Settings, places: list[str]) -> Database:
    database = Database(settings.log_url)
    await database.open()
    log = ConversationLog(database, Bus())
    visitor, _ = await Visitors(database).add("shop")
    opening = Opened("shop", visitor.visitor_id)
    for place in places:
        hello = Message(f"m_{place}", "Hello", "<p>Hello</p>", "en", client_msg_id="a")
        await log.append(ConversationId(place), [NewEvent("customer", hello)], opening=opening)
    return database


async def _race(claimers: list[Process]) -> dict[str, set[str]]:
    """Start them together; gives for each conversation the names that they say have it."""
    for claimer in claimers:
        assert claimer.stdout is not None
        assert await claimer.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(claimer.communicate(b"go\n") for claimer in claimers))
    told: dict[str, set[str]] = {}
    for line in b"".join(output for output, _ in outputs).decode().splitlines():
        place, holder = line.split()
        told.setdefault(place, set()).add(holder)
    assert [claimer.returncode for claimer in claimers] == [0] * len(claimers)
    return told


async def test_an_account_disabled_from_the_command_line_is_out_within_five_seconds(settings: Settings) -> None:
    database = Database(settings.log_url)
    await database.open()
    rig = await start_rig(settings, database)
    await _users(settings, "add", EMAIL, "--role", "agent", stdin=PASSWORD)
    mia = AgentClient(rig, EMAIL)
    await mia.login()
    socket = await mia.join()
    await _users(settings, "disable", EMAIL)
    disabled_at = time.monotonic()
    assert await socket.closed() == CloseCode.AUTH
    assert time.monotonic() - disabled_at < 5
    await stop_rig(rig)
    await database.close()


async def _users(settings: Settings, *arguments: str, stdin: str = "") -> None:
    """``assistant users`` in a process of its own."""
    command = [sys.executable, "-c", "from assistant.cli import main; main()", "users", *arguments]
    environment = {"ASSISTANT_DATA_DIR": str(settings.data_dir), "PATH": ""}
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=DEVNULL, env=environment)
    await process.communicate(stdin.encode())
    assert process.returncode == 0
