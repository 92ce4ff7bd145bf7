"""What the server sends that is no event of the log: the data of every ephemeral frame, field by field.

`frames` makes them, `asyncapi` publishes them. A client ignores fields it does not know, so that new ones may come.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for this one up to Python 3.11

from assistant.conversation.events import Mode
from assistant.dialogue.draft import Phase
from assistant.gateway.protocol import ErrorCode
from assistant.gateway.resume import ResumeFailure

Count = Annotated[int, Field(ge=0)]
Position = Annotated[int, Field(ge=1)]
Milliseconds = Annotated[int, Field(ge=0)]


class Limits(TypedDict):
    """How much a client may send."""

    max_text_chars: Position
    max_frame_bytes: Position
    messages_per_minute: Position


class Brand(TypedDict):
    """Who the assistant speaks for."""

    name: str


class Contact(TypedDict):
    """How to reach a person; what is not set is empty."""

    email: str
    phone: str
    hours: str


class Welcome(TypedDict):
    """The hello is accepted: where the conversation stands, and what the widget shows around it."""

    epoch: Position
    last_seq: Count
    heartbeat_s: float
    limits: Limits
    mode: Mode
    brand: Brand
    greeting: str
    handoff: Contact


class Resumed(TypedDict):
    """All that was missed came before this frame."""

    upto: Count


class ResumeFailed(TypedDict):
    """It cannot be taken up where the client left off; a snapshot follows."""

    reason: ResumeFailure


class Snapshot(TypedDict):
    """The conversation's latest events, for a client that begins anew."""

    epoch: Position
    last_seq: Count
    mode: Mode
    events: list[dict[str, object]]


class Ack(TypedDict):
    """The message is on the disk, and will be answered."""

    client_msg_id: str
    seq: Position


class Busy(TypedDict):
    """Too many turns wait: nothing was stored, send it again later with the same id."""

    client_msg_id: str
    retry_after_ms: Milliseconds
    queue_position: Position


class TurnStarted(TypedDict):
    """An answer is on its way; `stop` takes the frame's `turn_id`."""

    message_id: str
    reply_to: str


class Status(TypedDict):
    """What the assistant does just now; void after `ttl_ms` unless told again."""

    phase: Literal["queued"] | Phase
    ttl_ms: Milliseconds


class Delta(TypedDict):
    """Some more of the running answer: `text` begins at its code point `index`. The final message replaces it all."""

    message_id: str
    index: Count
    text: Annotated[str, Field(min_length=1)]


class PersonTyping(TypedDict):
    """A person is writing; void after `ttl_ms` unless told again."""

    ttl_ms: Milliseconds


class QueuePlace(TypedDict):
    """Where in the line the customer stands now; 1 is next. Told while they wait for a person, when it changes."""

    queue_position: Position


class Error(TypedDict):
    """Something was not done: why, and what to do."""

    code: ErrorCode
    message: str
    client_msg_id: NotRequired[str]
    retry_after_ms: NotRequired[Milliseconds]


class Pong(TypedDict):
    """The answer to a ping."""


OF_A_TURN = ("turn.started", "status", "delta")
"""The frames that carry a `turn_id`."""

TO_VISITORS: dict[str, type] = {
    "welcome": Welcome,
    "resumed": Resumed,
    "resume_failed": ResumeFailed,
    "snapshot": Snapshot,
    "ack": Ack,
    "busy": Busy,
    "turn.started": TurnStarted,
    "status": Status,
    "delta": Delta,
    "typing": PersonTyping,
    "queue": QueuePlace,
    "error": Error,
    "pong": Pong,
}
"""The data of the ephemeral frames on a visitor's socket, by the frame's type."""
