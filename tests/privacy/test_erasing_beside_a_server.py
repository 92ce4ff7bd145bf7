"""Erasing while the server runs: its sockets and answers end, and clients with an old epoch begin anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy import update
from typer.testing import CliRunner, Result

from assistant import running
from assistant.cli import app as cli
from assistant.config import PrivacySettings, Settings
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId
from assistant.conversation.tables import conversations
from assistant.erasing import privacy_of
from assistant.gateway.app import make_app
from assistant.gateway.knowledge import Admin
from tests.gateway.rig import Clock, Rig, ScriptedResponder, VisitorClient, build_parts, stop_rig
from tests.gateway.test_admin import ScriptedEditor

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_logging")]

KEY = "the-admin-key"
CANARY = "canary-7f3a"
Held = Callable[[str], list[str]]


@dataclass
class Served:
    """A server with admin endpoints on a data folder, as commands find it."""

    rig: Rig
    settings: Settings
    config: Path

    async def call(self, method: str, path: str, *, key: str = KEY, **headers: str) -> tuple[int, dict[str, object]]:
        headers |= {"Authorization": f"Bearer {key}"}
        async with self.rig.http.request(method, self.rig.url(path), headers=headers) as response:
            return response.status, await response.json()

    async def command(self, *words: str) -> Result:
        """A command of the terminal, on a thread: it waits for the server, which runs in this loop."""
        return await asyncio.to_thread(CliRunner().invoke, cli, ["--config", str(self.config), "privacy", *words])


@pytest.fixture
async def served(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    settings = settings.model_copy(update={"privacy": PrivacySettings(retention_days=30)})
    responder, clock = ScriptedResponder(sentences=[f"You said {CANARY}. ", "And more."]), Clock()
    parts, _ = build_parts(settings, database, responder, [])
    privacy = privacy_of(settings, database, parts.bus)
    app = make_app(replace(parts, admin=Admin(KEY, ScriptedEditor()), privacy=privacy), clock=clock)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None)
    rig = Rig(app, server, aiohttp.ClientSession(), parts, responder, clock, [])
    running.announce(settings.data_dir, url=rig.own_origin, admin_key=KEY)
    config = tmp_path / "assistant.toml"
    config.write_text(f'data_dir = "{settings.data_dir}"\n[privacy]\nretention_days = 30\n')
    yield Served(rig, settings, config)
    await stop_rig(rig)


async def talk(visitor: VisitorClient) -> str:
    socket = await visitor.join()
    await socket.say(CANARY)
    await socket.until_answered()
    await socket.close()
    return socket.conversation_id


async def test_the_command_ends_sockets_and_answers_and_leaves_no_byte(served: Served, held_bytes: Held) -> None:
    visitor = await served.rig.visitor()
    socket = await visitor.join()
    served.rig.responder.holds = True
    await socket.say(CANARY)
    await socket.until("delta")
    done = await served.command("erase", "--visitor", visitor.visitor_id, "--yes")

    assert done.exit_code == 0, done.output
    assert "3 events in 1 conversations" in done.output
    assert await socket.closed() == 4401
    assert held_bytes(CANARY) == []
    conversation_id = ConversationId(socket.conversation_id)
    assert served.rig.parts.manager.live(conversation_id) is None
    assert {event.kind for event in await served.rig.parts.log.events(conversation_id)} == {"erased"}


async def test_nobody_comes_back_with_the_old_secret_or_a_token_of_before(served: Served) -> None:
    visitor = await served.rig.visitor()
    conversation_id = await talk(visitor)
    assert (await served.command("erase", "--visitor", visitor.visitor_id, "--yes")).exit_code == 0
    assert (await visitor.get_events(conversation_id)).status == 401
    body = {"visitor_id": visitor.visitor_id, "visitor_secret": visitor.secret}
    async with served.rig.http.post(served.rig.url("/v1/visitor-tokens"), json=body) as response:
        assert response.status == 401


async def test_after_an_erasure_an_old_epoch_gets_resume_failed_and_a_snapshot_of_tombstones(served: Served) -> None:
    visitor = await served.rig.visitor()
    conversation_id = await talk(visitor)
    async with served.rig.parts.log._database.writing() as connection:
        await connection.execute(update(conversations).values(updated_at="2020-01-01T00:00:00.000Z"))
    counted = await served.command("retain", "--dry-run")
    assert "1 conversations are older than 30 days" in counted.stdout
    assert (await served.command("retain")).exit_code == 0

    socket = await visitor.connect(conversation_id=conversation_id, epoch=1, last_seq=2)
    welcome = await socket.next("welcome")
    assert welcome["data"]["epoch"] == 2
    failed = await socket.next("resume_failed")
    assert failed["data"] == {"reason": "epoch_changed"}
    snapshot = (await socket.next("snapshot"))["data"]
    assert (snapshot["epoch"], snapshot["last_seq"]) == (2, 3)
    assert [(frame["type"], frame["seq"]) for frame in snapshot["events"]] == [
        ("erased", 1),
        ("erased", 2),
        ("erased", 3),
    ]
    assert CANARY not in json.dumps(socket.frames)
    assert snapshot["events"][-1]["data"] == {"reason": "retention", "author": "system"}
    await socket.say("hello again", "b")
    await socket.until_answered()


async def test_a_socket_that_was_open_is_told_of_the_erasure(served: Served) -> None:
    visitor = await served.rig.visitor()
    socket = await visitor.join()
    await socket.say(CANARY)
    await socket.until_answered()
    async with served.rig.parts.log._database.writing() as connection:
        await connection.execute(update(conversations).values(updated_at="2020-01-01T00:00:00.000Z"))
    assert (await served.call("POST", "/v1/admin/privacy/retention"))[0] == 200
    assert (await socket.until("erased"))["data"]["reason"] == "retention"


async def test_the_export_tells_what_is_stored_and_how_many_sockets_are_open(served: Served, tmp_path: Path) -> None:
    visitor = await served.rig.visitor()
    await talk(visitor)
    socket = await visitor.join()
    file = tmp_path / "mia.json"
    done = await served.command("export", "--visitor", visitor.visitor_id, "--out", str(file))
    assert done.exit_code == 0, done.output
    told = json.loads(file.read_text())
    assert told["in_memory"]["num_sockets"] == 1
    assert CANARY in json.dumps(told["conversations"])
    assert file.stat().st_mode & 0o777 == 0o600
    await socket.close()


CALLS = [
    ("GET", "/v1/admin/privacy/visitors/v_1"),
    ("DELETE", "/v1/admin/privacy/visitors/v_1"),
    ("POST", "/v1/admin/privacy/retention"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_without_the_key_or_from_a_page_nothing_is_done(served: Served, method: str, path: str) -> None:
    for key in ("", "wrong", KEY + "x"):
        assert (await served.call(method, path, key=key))[0] == 401
    assert (await served.call(method, path, Origin=served.rig.own_origin))[0] == 403


async def test_an_unknown_visitor_is_not_found(served: Served) -> None:
    assert (await served.call("DELETE", "/v1/admin/privacy/visitors/v_nobody"))[0] == 404
    done = await served.command("erase", "--visitor", "v_nobody", "--yes")
    assert done.exit_code != 0


async def test_two_erasures_at_once_wait_for_each_other(served: Served) -> None:
    visitors = [await served.rig.visitor() for _ in range(3)]
    for visitor in visitors:
        await talk(visitor)
    paths = [f"/v1/admin/privacy/visitors/{visitor.visitor_id}" for visitor in [*visitors, visitors[0]]]
    answers = await asyncio.gather(*(served.call("DELETE", path) for path in paths))
    assert [status for status, _ in answers] == [200, 200, 200, 200]
    assert all(answer["is_whole"] for _, answer in answers)
