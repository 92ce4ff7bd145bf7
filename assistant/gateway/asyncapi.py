"""The wire protocol as an AsyncAPI 3.0 document, made from the models that parse and the records that are stored.

``asyncapi.json`` beside this file is the same document for those who read the sources; make it anew with
``python -m assistant.gateway.asyncapi``. https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from aiohttp import hdrs, web
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from assistant.conversation.events import KINDS, Author, Payload
from assistant.gateway.agent_protocol import AGENT_COMMANDS
from assistant.gateway.agent_schemas import TO_AGENTS
from assistant.gateway.protocol import COMMANDS, ERROR_CODES, VERSION, CloseCode
from assistant.gateway.schemas import OF_A_TURN, TO_VISITORS

Json = dict[str, Any]

FILE = Path(__file__).with_name("asyncapi.json")
REFERENCE = "#/components/schemas/{model}"
ABOUT = (
    "JSON text frames. A client's fields stand at the top level, and an unknown one is refused. The server's stand in "
    "`data`; clients ignore types and fields that they do not know. Lengths and offsets count code points."
)
ENVELOPE: Json = {
    "v": {"const": VERSION},
    "conversation_id": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$"},
    "ts": {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
}
SEQ: Json = {"type": "integer", "minimum": 1, "description": "Its place among the public events, without a gap."}
POSITION: Json = {"type": "integer", "minimum": 1, "description": "Its place among all events, without a gap."}
TURN_ID: Json = {"type": "string", "description": "Which running answer it belongs to."}


@dataclass(frozen=True, slots=True)
class Socket:
    """One websocket address: what its clients may send, and what they are sent beside the log's events.

    ``is_private`` where that is every event with every field, ``events`` is the name of the schema of any of them, and
    ``of_none`` are the frames that need be of no conversation.
    """

    name: str
    address: str
    about: str
    commands: Mapping[str, type]
    ephemeral: Mapping[str, type]
    is_private: bool
    events: str
    snapshot: str
    of_none: frozenset[str]


SOCKETS = (
    Socket(
        name="visitor",
        address="/v1/ws",
        about="A visitor's socket. Its first frame is a `hello` with a token of `POST /v1/visitor-tokens`.",
        commands=COMMANDS,
        ephemeral=TO_VISITORS,
        is_private=False,
        events="Event",
        snapshot="Snapshot",
        of_none=frozenset({"error"}),  # before the welcome
    ),
    Socket(
        name="agent",
        address="/v1/agent/ws",
        about="An agent's socket, for any number of conversations. Its first frame is a `hello` with a token of "
        "`POST /v1/agent/login` or `POST /v1/agent/token`.",
        commands=AGENT_COMMANDS,
        ephemeral=TO_AGENTS,
        is_private=True,
        events="AgentEvent",
        snapshot="AgentSnapshot",
        of_none=frozenset({"welcome", "conversations", "error", "pong"}),
    ),
)


async def get_asyncapi(_: web.Request) -> web.Response:
    """``GET /asyncapi.json``, for any site: it says nothing about anybody."""
    headers = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*", hdrs.CACHE_CONTROL: "no-cache"}
    return web.Response(text=published(), content_type="application/json", headers=headers)


def write() -> None:
    """Write the checked-in file anew."""
    FILE.write_text(published(), encoding="utf-8")


@lru_cache(maxsize=1)
def published() -> str:
    """The document as it is served and checked in."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


def document() -> Json:
    """The whole document, as plain JSON values."""
    parts = _Parts()
    for socket in SOCKETS:
        parts.add_socket(socket)
    close_codes = {str(code.value): {"name": code.name.lower(), "resumable": code.is_resumable} for code in CloseCode}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Conversations", "version": f"{VERSION}.0.0", "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"messages": parts.messages, "schemas": dict(sorted(parts.schemas.items()))},
        "x-error-codes": dict(ERROR_CODES),
        "x-close-codes": close_codes,
    }


@dataclass
class _Parts:
    """The document's parts as they grow."""

    channels: Json = field(default_factory=dict)
    operations: Json = field(default_factory=dict)
    messages: Json = field(default_factory=dict)
    schemas: Json = field(default_factory=dict)

    def add_socket(self, socket: Socket) -> None:
        """A socket with the messages of both directions."""
        sends = {kind: self._model(model) for kind, model in socket.commands.items()}
        gets = self._events(socket) | {kind: self._ephemeral(kind, socket) for kind in socket.ephemeral}
        commands = {f"{socket.name}.sends.{kind}": self._message(kind, payload) for kind, payload in sends.items()}
        frames = {f"{socket.name}.gets.{kind}": self._message(kind, payload) for kind, payload in gets.items()}
        self.messages |= commands | frames
        self.channels[socket.name] = {
            "address": socket.address,
            "description": socket.about,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*commands, *frames)},
            "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        }
        # Named from the server's side, as AsyncAPI wants it: it receives what clients send.
        self.operations[f"{socket.name}Sends"] = _operation("receive", socket.name, commands)
        self.operations[f"{socket.name}Gets"] = _operation("send", socket.name, frames)

    def _events(self, socket: Socket) -> Json:
        """The frames of the events that this socket is sent, by their kind; snapshots hold the same."""
        shown = {kind: payload for kind, (payload, sight) in KINDS.items() if socket.is_private or sight == "public"}
        frames = {kind: self._event(kind, payload, socket) for kind, payload in shown.items()}
        self.schemas[socket.events] = {"description": "An event of the log.", "oneOf": list(frames.values())}
        self._model(socket.ephemeral["snapshot"])
        self.schemas[socket.snapshot]["properties"]["events"]["items"] = _reference(socket.events)
        return frames

    def _event(self, kind: str, payload: type[Payload], socket: Socket) -> Json:
        data = f"{payload.__name__}Record" if socket.is_private else payload.__name__
        frame = f"{payload.__name__}{socket.events}"
        schema, inner = _event_schema(payload, is_private=socket.is_private)
        self.schemas |= inner | {data: schema}
        number = {"position": POSITION} if socket.is_private else {"seq": SEQ}
        envelope = _envelope(kind, data, schema["description"], number)
        if socket.is_private:
            envelope["properties"]["seq"] = SEQ  # of public events only
        self.schemas[frame] = envelope
        return _reference(frame)

    def _ephemeral(self, kind: str, socket: Socket) -> Json:
        model = socket.ephemeral[kind]
        if kind != "snapshot":
            self._model(model)
        description = self.schemas[model.__name__]["description"]
        frame = _envelope(kind, model.__name__, description, {"turn_id": TURN_ID} if kind in OF_A_TURN else {})
        if kind in socket.of_none:
            frame["required"].remove("conversation_id")
        return frame

    def _model(self, model: type) -> Json:
        """A reference to a model's schema, which is added with all that it needs."""
        schema = _schema(model)
        self.schemas |= schema.pop("$defs", {})
        assert self.schemas.setdefault(model.__name__, schema) == schema, f"two models are named {model.__name__}"
        return _reference(model.__name__)

    def _message(self, kind: str, payload: Json) -> Json:
        schema = self.schemas[payload["$ref"].rpartition("/")[2]] if "$ref" in payload else payload
        return {"name": kind, "summary": schema["description"], "payload": payload}


def _reference(name: str) -> Json:
    return {"$ref": REFERENCE.format(model=name)}


def _operation(action: str, channel: str, messages: Json) -> Json:
    listed = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "messages": listed}


def _envelope(kind: str, data: str, description: str, more: Json) -> Json:
    """What stands around the data of every frame of the server."""
    properties = ENVELOPE | {"type": {"const": kind}} | more | {"data": _reference(data)}
    return {"type": "object", "description": description, "properties": properties, "required": list(properties)}


def _event_schema(payload: type[Payload], *, is_private: bool) -> tuple[Json, Json]:
    """An event's data as it is sent, with the author and with or without what is private; and what it refers to."""
    schema = _schema(payload)
    inner = schema.pop("$defs", {})
    shown = [f for f in dataclasses.fields(payload) if is_private or not f.metadata.get("private")]
    properties = {f.name: _without_null(schema["properties"][f.name]) for f in shown}
    properties["author"] = {"type": "string", "enum": list(get_args(Author))}
    # What is None or an empty tuple is left out of a frame.
    required = [*(f.name for f in shown if f.default is not None and f.default != ()), "author"]
    pruned = schema | {"properties": properties, "required": required}
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(pruned)))
    return pruned, {name: inner[name] for name in named}


class _WithoutTitles(GenerateJsonSchema):
    """Titles would only repeat the names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _schema(model: type) -> Json:
    return TypeAdapter(model).json_schema(ref_template=REFERENCE, schema_generator=_WithoutTitles)


def _without_null(schema: Json) -> Json:
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    return kept | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})


if __name__ == "__main__":
    write()
