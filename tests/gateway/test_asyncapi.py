"""The published protocol is the one that is spoken."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from assistant.conversation.events import KINDS, ConversationId
from assistant.gateway import asyncapi
from assistant.gateway.agent_protocol import AGENT_COMMANDS
from assistant.gateway.protocol import COMMANDS, CloseCode
from tests.gateway import published
from tests.gateway.rig import Rig, SocketClient, VisitorClient
from tests.gateway.test_protocol import BAD_FRAMES, almost_frames

pytestmark = pytest.mark.unit


def resolve(reference: str) -> Any:
    found: Any = published.document()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_checked_in_document_is_the_one_that_the_models_make() -> None:
    assert asyncapi.FILE.read_text(encoding="utf-8") == asyncapi.published(), (
        "assistant/gateway/asyncapi.json is stale: python -m assistant.gateway.asyncapi"
    )


async def test_the_document_is_served_to_any_site(rig: Rig) -> None:
    async with rig.http.get(rig.url("/asyncapi.json"), headers={"Origin": "https://elsewhere.example"}) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert await response.json() == published.document()


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', asyncapi.published()))
    assert len(references) > 40
    for reference in references:
        assert resolve(reference), reference


def test_every_schema_is_one_that_asyncapi_tools_read() -> None:
    # AsyncAPI's own schema dialect is a superset of JSON Schema draft 7.
    for name, schema in published.document()["components"]["schemas"].items():
        Draft7Validator.check_schema(schema)
        assert not {"$defs", "prefixItems", "unevaluatedProperties"} & schema.keys(), name
        assert schema.get("description"), f"{name} says nothing"


def test_every_frame_of_the_protocol_is_published_with_what_it_means() -> None:
    messages = published.document()["components"]["messages"]
    for socket in asyncapi.SOCKETS:
        for kind in socket.commands:
            assert messages[f"{socket.name}.sends.{kind}"]["summary"]
        for kind in socket.ephemeral:
            assert messages[f"{socket.name}.gets.{kind}"]["summary"]


def test_every_close_code_is_published_with_whether_to_come_back() -> None:
    told = published.document()["x-close-codes"]
    assert {int(code): entry["resumable"] for code, entry in told.items()} == {
        c.value: c.is_resumable for c in CloseCode
    }


def reachable(schema: object) -> set[str]:
    """The names of all schemas that one refers to."""
    found: set[str] = set()
    waiting = [json.dumps(schema)]
    while waiting:
        for name in set(re.findall(r'"#/components/schemas/(\w+)"', waiting.pop())) - found:
            found.add(name)
            waiting.append(json.dumps(published.document()["components"]["schemas"][name]))
    return found


def test_no_private_event_or_field_is_in_what_visitors_are_sent() -> None:
    components = published.document()["components"]
    sent = {name: message for name, message in components["messages"].items() if name.startswith("visitor.gets.")}
    assert {f"visitor.gets.{kind}" for kind, (_, sight) in KINDS.items() if sight == "private"} & sent.keys() == set()
    names = reachable(sent)
    assert {"Message", "State", "Citation", "Snapshot", "Event"} <= names
    assert not {name for name in names if name.endswith("Record")} | {"PromptPassage", "AgentEvent"} & names
    fields = components["schemas"]["Message"]["properties"].keys()
    assert not {"reason", "confidence", "model", "adapter", "passages", "prompt_id", "timings_ms", "agent_id"} & fields
    agents = components["schemas"]["MessageRecord"]["properties"].keys()
    assert {"reason", "confidence", "passages"} <= agents


@given(almost_frames(COMMANDS))
def test_the_schema_takes_exactly_the_visitors_frames_that_the_parser_takes(frame: dict[str, object]) -> None:
    published.check_sent_by_client(json.loads(json.dumps(frame)))


@given(almost_frames(AGENT_COMMANDS))
def test_the_schema_takes_exactly_the_agents_frames_that_the_parser_takes(frame: dict[str, object]) -> None:
    published.check_sent_by_client(json.loads(json.dumps(frame)), socket="agent")


@pytest.mark.parametrize("raw", [raw for raw, code in BAD_FRAMES.items() if code == "bad_frame"])
def test_a_frame_that_the_parser_refuses_the_schema_refuses(raw: str) -> None:
    assert not published.is_published_command(json.loads(raw))


async def test_every_kind_of_server_frame_is_seen_and_has_its_published_form(
    rig: Rig, visitor: VisitorClient, socket: SocketClient
) -> None:
    await socket.say("How long?")
    await socket.until_answered()
    await socket.send("ping")
    await socket.until("pong")
    await socket.send("handoff", reason="please")
    await socket.until("state")
    await socket.send("stop")
    await socket.until("error", code="bad_frame")
    again = await visitor.connect(conversation_id=socket.conversation_id, epoch=99)
    await again.until("snapshot")
    seen = {frame["type"] for frame in [*socket.frames, *again.frames]}
    assert {"welcome", "resumed", "ack", "turn.started", "status", "delta", "message", "state"} <= seen
    assert {"pong", "error", "resume_failed", "snapshot"} <= seen
    for frame in [*socket.frames, *again.frames]:
        published.check_sent_by_server(frame)
    body = await (await visitor.get_events(str(ConversationId(socket.conversation_id)))).json()
    for frame in body["events"]:
        published.check_sent_by_server(frame)


def test_a_frame_with_an_unpublished_field_is_noticed() -> None:
    frame = {"v": 1, "type": "pong", "conversation_id": "c_1", "ts": "2026-01-01T00:00:00.000Z", "data": {}}
    published.check_sent_by_server(frame)
    with pytest.raises(AssertionError, match="secret"):
        published.check_sent_by_server({**frame, "data": {"secret": 1}})
    with pytest.raises(AssertionError, match="seq"):
        published.check_sent_by_server({**frame, "seq": 1})
