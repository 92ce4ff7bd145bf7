"""The published protocol as a judge: whether a frame is what the checked-in document says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from assistant.gateway.agent_protocol import parse_agent
from assistant.gateway.asyncapi import FILE
from assistant.gateway.protocol import Refusal, parse

Json = dict[str, Any]

# What a schema cannot say: whether it is JSON and text at all, how long a text may be, whether it can be read.
BEYOND_A_SCHEMA = {"not_json", "too_deep", "bad_text", "text_empty", "text_too_long"}
ANY_LENGTH = 1_000_000


def _is_integer(_: TypeChecker, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # 1.0 is none on this wire


def _matches(validator: object, pattern: str, text: object, schema: object) -> Iterator[ValidationError]:
    # ECMA-262, which JSON Schema names: `$` is the end of the text. Python's `$` also stands before a last line end.
    if isinstance(text, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), text):
        yield ValidationError(f"does not match {pattern}")


Validator = extend(
    Draft202012Validator,
    {"pattern": _matches},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@lru_cache(maxsize=1)
def document() -> Json:
    return json.loads(FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def closed_document() -> Json:
    """The same, where no object has a property that is not written down."""
    return json.loads(FILE.read_text(encoding="utf-8"), object_hook=_closed)


def _closed(value: Json) -> Json:
    return (
        {"additionalProperties": False, **value} if value.get("type") == "object" and "properties" in value else value
    )


@lru_cache
def payload_validator(message: str) -> Any:
    """Judges the payload of a message of the document, such as ``visitor.gets.ack``."""
    assert message in document()["components"]["messages"], f"{message} is not published"
    return Validator({**closed_document(), "$ref": f"#/components/messages/{message}/payload"})


def check_sent_by_server(frame: Json, *, socket: str = "visitor") -> None:
    """A frame of the server has the published form, and not a field more."""
    problems = [error.message for error in payload_validator(f"{socket}.gets.{frame['type']}").iter_errors(frame)]
    assert not problems, f"{frame['type']}: {problems}"


def check_sent_by_client(frame: Json, *, socket: str = "visitor") -> None:
    """A client's frame is published exactly where the server's parser takes it, be it good or bad."""
    code = code_of(json.dumps(frame), socket=socket)
    if code not in BEYOND_A_SCHEMA:
        assert is_published_command(frame, socket=socket) == (code is None), f"{frame}: {code}"


def code_of(raw: str, *, socket: str) -> str | None:
    """The error code that the server's parser has for a frame, None where it takes it."""
    try:
        {"visitor": parse, "agent": parse_agent}[socket](raw, max_text_chars=ANY_LENGTH)
    except Refusal as refusal:
        return refusal.code
    return None


def is_published_command(frame: object, *, socket: str = "visitor") -> bool:
    """Whether a client's frame has the form of one of the socket's commands."""
    kind = frame.get("type") if isinstance(frame, dict) else None
    message = f"{socket}.sends.{kind}"
    return message in document()["components"]["messages"] and payload_validator(message).is_valid(frame)
