"""The records of the conversation log: what happened, in which order, and who may see it."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NewType, get_args

from pydantic import TypeAdapter

from assistant.values import Concern, Entity, FinishReason, Sentiment, Urgency

ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
VisitorId = NewType("VisitorId", str)
TurnId = NewType("TurnId", str)

Author = Literal["customer", "assistant", "agent", "system"]
Visibility = Literal["public", "private"]
Mode = Literal["bot", "waiting", "human", "closed"]
Decision = Literal["verbatim", "composed", "clarified", "abstained", "handoff", "smalltalk", "action"]
Rating = Literal["up", "down"]
AgentRole = Literal["agent", "supervisor", "admin"]

PRIVATE = {"private": True}  # field metadata: never leaves the company's side


@dataclass(frozen=True, slots=True)
class Citation:
    """Which words of an answer rest on which words of the knowledge base.

    Offsets are code points: ``source_*`` in the source file, ``text_*`` in the answer.
    """

    entry_id: str
    title: str
    source: str
    lang: str
    quote: str
    source_start: int
    source_end: int
    text_start: int
    text_end: int


@dataclass(frozen=True, slots=True)
class PromptPassage:
    """A passage as the model was shown it, kept so that the prompt can be built again."""

    entry_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The conversation began."""

    tenant: str
    visitor_id: str
    locale: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """Something said, by anyone."""

    message_id: str
    text: str
    html: str
    language: str
    client_msg_id: str | None = None
    reply_to: str | None = None
    decision: Decision | None = None
    citations: tuple[Citation, ...] = ()
    quick_replies: tuple[str, ...] = ()
    finish_reason: FinishReason | None = None
    reason: str | None = field(default=None, metadata=PRIVATE)
    confidence: float | None = field(default=None, metadata=PRIVATE)
    model: str | None = field(default=None, metadata=PRIVATE)
    adapter: str | None = field(default=None, metadata=PRIVATE)
    prompt_id: str | None = field(default=None, metadata=PRIVATE)
    passages: tuple[PromptPassage, ...] = field(default=(), metadata=PRIVATE)
    timings_ms: dict[str, float] | None = field(default=None, metadata=PRIVATE)
    agent_id: str | None = field(default=None, metadata=PRIVATE)
    draft_id: str | None = field(default=None, metadata=PRIVATE)
    user_id: str | None = field(default=None, metadata=PRIVATE)  # who the site said the customer was when it was sent


@dataclass(frozen=True, slots=True)
class State:
    """Who answers from now on. ``assignee`` is the person's name as customers read it, ``assignee_id`` who it is."""

    mode: Mode
    reason: str = ""
    assignee: str | None = None
    queue_position: int | None = None
    assignee_id: str | None = field(default=None, metadata=PRIVATE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a customer thought of one message."""

    message_id: str
    rating: Rating
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Insight:
    """What was noted of a customer's message."""

    message_id: str
    sentiment: Sentiment
    urgency: Urgency
    intent: str | None = None
    entities: tuple[Entity, ...] = ()
    concern: Concern | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What one agent tells the others; the customer never sees it."""

    text: str
    agent_id: str
    client_msg_id: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A word that an agent put on a conversation, or on one message of it, or took off again."""

    label: str
    agent_id: str
    message_id: str | None = None
    is_on: bool = True


DraftOutcome = Literal["accepted", "edited", "ignored"]


@dataclass(frozen=True, slots=True)
class DraftOffered:
    """An answer that the assistant proposed to the person who has the conversation, to the message ``reply_to``."""

    draft_id: str
    text: str
    language: str
    agent_id: str
    reply_to: str
    citations: tuple[Citation, ...] = ()
    model: str | None = None
    adapter: str | None = None
    prompt_id: str | None = None


@dataclass(frozen=True, slots=True)
class DraftUsed:
    """What the reply ``message_id`` made of a draft; ``edit_distance`` is characters changed by the longer length."""

    draft_id: str
    message_id: str
    outcome: DraftOutcome
    edit_distance: float


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that somebody sent. Its bytes lie beside the log, under ``attachment_id``; ``bytes`` is how many."""

    attachment_id: str
    name: str
    media_type: str
    bytes: int
    sha256: str


ActionStatus = Literal["requested", "confirmed", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Action:
    """A step of a business action: asked for, confirmed by the customer, and what the business system said.

    All steps of one call share an ``idempotency_key``. ``result`` holds the fields that the settings let through.
    """

    name: str
    status: ActionStatus
    arguments: dict[str, str]
    idempotency_key: str
    result: dict[str, str] | None = None
    error: str | None = None


ErasureReason = Literal["request", "retention"]


@dataclass(frozen=True, slots=True)
class Erased:
    """What stood here is gone. The event that records an erasure has a ``reason``, the tombstones before it none."""

    reason: ErasureReason | None = None
    num_events: int | None = field(default=None, metadata=PRIVATE)


Payload = (
    Opened
    | Message
    | State
    | Attachment
    | Feedback
    | Insight
    | Action
    | DraftOffered
    | DraftUsed
    | Note
    | Label
    | Erased
)

KINDS: dict[str, tuple[type[Payload], Visibility]] = {
    "opened": (Opened, "private"),
    "message": (Message, "public"),
    "state": (State, "public"),
    "attachment": (Attachment, "public"),
    "feedback": (Feedback, "private"),
    "insight": (Insight, "private"),
    "action": (Action, "private"),
    "draft.offered": (DraftOffered, "private"),
    "draft.used": (DraftUsed, "private"),
    "note": (Note, "private"),
    "label": (Label, "private"),
    "erased": (Erased, "public"),
}
ADAPTERS: dict[str, TypeAdapter[Payload]] = {kind: TypeAdapter(payload) for kind, (payload, _) in KINDS.items()}
KIND_OF: dict[type[Payload], str] = {payload: kind for kind, (payload, _) in KINDS.items()}
assert set(KIND_OF) == set(get_args(Payload))
PARTS = (Citation, PromptPassage, Entity)
FIELDS = {payload: tuple(f.name for f in dataclasses.fields(payload)) for payload in KIND_OF}
PUBLIC_FIELDS = {
    payload: tuple(f.name for f in dataclasses.fields(payload) if not f.metadata.get("private")) for payload in KIND_OF
}


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered fact of a conversation.

    ``position`` counts all its events, ``seq`` the public ones only (None on private events); both rise
    by exactly one. ``ts`` is ISO 8601 in UTC.
    """

    conversation_id: ConversationId
    position: int
    seq: int | None
    ts: str
    author: Author
    payload: Payload

    @property
    def kind(self) -> str:
        """The event's kind, which is also its frame's type on the wire."""
        return KIND_OF[type(self.payload)]

    @property
    def visibility(self) -> Visibility:
        """Whether visitors may see it. A tombstone keeps the visibility of what it stands for."""
        return "private" if self.seq is None else "public"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event before the log has given it its place."""

    author: Author
    payload: Payload


def visibility_of(payload: Payload) -> Visibility:
    """Whether visitors may see this payload."""
    return KINDS[KIND_OF[type(payload)]][1]


def to_record(payload: Payload) -> dict[str, Any]:
    """A payload as plain JSON values, private fields included."""
    return {name: _plain(getattr(payload, name)) for name in FIELDS[type(payload)]}


def from_record(kind: str, record: Mapping[str, Any]) -> Payload:
    """The payload that `to_record` gave; unknown fields of a newer version are dropped."""
    known = FIELDS[KINDS[kind][0]]
    return ADAPTERS[kind].validate_python({name: record[name] for name in known if name in record})


def public_record(payload: Payload) -> dict[str, Any]:
    """A payload as a visitor may see it: without private fields and without what is empty."""
    fields = ((name, getattr(payload, name)) for name in PUBLIC_FIELDS[type(payload)])
    return {name: _plain(value) for name, value in fields if value is not None and value != ()}


def _plain(value: object) -> object:
    """A field as plain JSON values: what `dataclasses.asdict` gives, without its copies of every string."""
    if isinstance(value, tuple):
        return tuple(dataclasses.asdict(one) if isinstance(one, PARTS) else one for one in value)
    return dict(value) if isinstance(value, dict) else value


def now() -> str:
    """The present moment as the log writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id(prefix: str) -> str:
    """An id that sorts by time and cannot be guessed: prefix, milliseconds, 96 random bits."""
    return f"{prefix}_{int(time.time() * 1000):011x}{secrets.token_hex(12)}"


def new_conversation_id() -> ConversationId:
    """A fresh conversation's id."""
    return ConversationId(new_id("c"))
