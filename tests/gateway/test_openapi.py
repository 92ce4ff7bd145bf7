"""The published document of the HTTP interface tells the truth, and the interface keeps what it says."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from assistant.config import Settings
from assistant.conversation.events import ConversationId
from assistant.dialogue.manager import Speaker
from assistant.erasing import privacy_of
from assistant.gateway import limits
from assistant.gateway.app import make_app
from assistant.gateway.knowledge import Admin
from assistant.gateway.openapi import OPERATIONS, document, routes_of
from tests.databases import opened
from tests.gateway.rig import Rig, ScriptedResponder, build_parts
from tests.gateway.test_admin import ScriptedEditor

KEY = "the-admin-key"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
SECONDS = 20
LONG_SECONDS = 600
# A schema cannot say what is readable, which tenants are served or which model there is; parameters of the query that
# nobody knows are ignored, as proxies and browsers add some; the secrets below are sent in any case.
CONFIG = """
[parameters]
"path.conversation_id" = "{conversation_id}"
"path.model" = "assistant"

[generation]
allow-extra-parameters = false
with-security-parameters = false

[checks.positive_data_acceptance]
enabled = false

[[operations]]
include-tag = "conversations"
headers = {{ Authorization = "Bearer {visitor}" }}

[[operations]]
include-tag = ["openai", "channels"]
headers = {{ Authorization = "Bearer {program}" }}

[[operations]]
include-tag = "agents"
headers = {{ Authorization = "Bearer {agent}" }}

[[operations]]
include-tag = "admin"
headers = {{ Authorization = "Bearer {admin}" }}
"""


@dataclasses.dataclass
class Whole:
    """A server with every part fitted, and who may do what there."""

    server: TestServer
    secrets: dict[str, str]
    conversation_id: str

    @property
    def url(self) -> str:
        return str(self.server.make_url("/")).rstrip("/")


@pytest.fixture
async def whole(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.setattr(limits, "REQUESTS_PER_MINUTE", 1_000_000)
    generous = {"messages_per_minute": 1_000_000, "handshakes_per_minute": 1_000_000}
    settings = Settings(**settings.model_dump() | {"gateway": settings.gateway.model_dump() | generous})
    database = await opened(settings.log_url)
    parts, manager = build_parts(settings, database, ScriptedResponder(), [])
    parts = dataclasses.replace(
        parts, admin=Admin(KEY, ScriptedEditor()), privacy=privacy_of(settings, database, parts.bus)
    )
    server = TestServer(make_app(parts), host="127.0.0.1")
    await server.start_server(access_log=None)
    assert parts.doors is not None
    assert parts.staff is not None
    visitor, visitor_secret = await parts.visitors.add("default")
    speaker = Speaker(ConversationId("c_fuzzed"), visitor.visitor_id, "default", "en")
    await manager.receive(speaker, "How long?", "first")
    _, program = await parts.doors.keys.add("test", "default")
    agent = await parts.staff.agents.add("kim@shop.example", "a long password", role="admin")
    _, session = await parts.staff.sessions.begin(agent, lifetime_s=LONG_SECONDS + 60)
    secrets = {"visitor": visitor_secret, "program": program, "agent": session, "admin": KEY}
    yield Whole(server, secrets, speaker.conversation_id)
    await server.close()
    await manager.close()
    await database.close()


@pytest.mark.unit
async def test_the_document_is_valid_openapi_3_1(whole: Whole) -> None:
    validate(document(whole.server.app))


@pytest.mark.unit
async def test_every_route_is_in_the_document_and_the_other_way_round(whole: Whole) -> None:
    told = {(operation.method, operation.path) for operation in OPERATIONS}
    assert set(routes_of(whole.server.app)) == told
    assert len(told) == len(OPERATIONS)
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.unit
async def test_a_part_that_is_not_fitted_is_not_told_of(rig: Rig) -> None:
    async with rig.http.get(rig.url("/openapi.json")) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        told = await response.json()
    assert "/v1/admin/index" not in told["paths"]
    assert "/v1/chat/completions" in told["paths"]


@pytest.mark.unit
async def test_events_and_answers_are_as_the_document_says(rig: Rig) -> None:
    schemas = {"$ref": "#/components/schemas/Answered", "components": document(rig.app)["components"]}
    visitor = await rig.visitor()
    headers, body = {"Authorization": f"Bearer {visitor.secret}"}, {"client_msg_id": "a", "text": "How long?"}
    async with rig.http.post(rig.url("/v1/conversations?wait=10"), json=body, headers=headers) as response:
        answered = await response.json()
    Draft202012Validator(schemas).validate(answered)
    async with await visitor.get_events(answered["conversation_id"]) as response:
        Draft202012Validator(schemas | {"$ref": "#/components/schemas/EventsPage"}).validate(await response.json())


@pytest.mark.reliability
@pytest.mark.timeout(LONG_SECONDS + 300)
async def test_schemathesis_finds_no_failure(whole: Whole, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG.format(conversation_id=whole.conversation_id, **whole.secrets))
    seconds = LONG_SECONDS if request.config.getoption("--long") else SECONDS
    command = [str(SCHEMATHESIS), "run", f"{whole.url}/openapi.json", "--seed", "7", "--max-time", str(seconds)]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--exclude-path-regex",
        "/ws$|/logout$|/visitor-sign-out$",  # no socket is opened, and session and secret that are used stay
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-12_000:]
