"""What an operation of the HTTP interface is, for the published document: what it takes, gives and refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from assistant.gateway.protocol import ErrorCode

Json = dict[str, Any]
Scheme = Literal["visitor", "api_key", "agent", "admin"]

TAGS = {
    "conversations": "A visitor's own conversations, by the visitor's secret.",
    "openai": "OpenAI's chat completions, by an API key. Nothing is stored.",
    "channels": "Other programs' dialects, by an API key.",
    "agents": "For the people who answer, by their session.",
    "admin": "For operators and the commands on the server's machine, by the admin key or an admin's session.",
    "pages": "The widget, the demo page, and these documents.",
    "service": "Whether the server is well.",
}
SECURITY: Json = {
    "visitor": {"type": "http", "scheme": "bearer", "description": "The visitor_secret of POST /v1/visitor-tokens."},
    "api_key": {"type": "http", "scheme": "bearer", "description": "A key made by `assistant keys add`."},
    "agent": {"type": "http", "scheme": "bearer", "description": "The session of POST /v1/agent/login."},
    "admin": {"type": "http", "scheme": "bearer", "description": "The admin_key of data_dir/server.json."},
}
READING: tuple[ErrorCode, ...] = ("bad_request", "unauthorized", "wrong_origin", "rate_limited")
WRITING: tuple[ErrorCode, ...] = (*READING, "bad_frame", "too_deep", "bad_text", "text_too_long", "not_stored")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; without a ``media_type`` it has no body. ``or_as`` is another it may have."""

    about: str
    model: type[BaseModel] | None = None
    media_type: str = "application/json"
    or_as: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query, which may be left out."""

    name: str
    about: str
    schema: Json


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. ``errors`` are those beside what every request, or every body, may meet."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answers: dict[int, Answer]
    body: type[BaseModel] | None = None
    path_parameters: dict[str, str] = field(default_factory=dict)
    query: tuple[Query, ...] = ()
    security: Scheme | None = None
    errors: tuple[ErrorCode, ...] = ()


def whole(name: str, about: str, *, default: int, low: int, high: int) -> Query:
    """A whole number in the query."""
    return Query(name, about, {"type": "integer", "minimum": low, "maximum": high, "default": default})
