"""What the server sends agents that is no event of the log: the data of every ephemeral frame, field by field."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict  # pydantic asks for this one up to Python 3.11

from assistant.conversation.events import AgentRole, Author, Mode
from assistant.gateway.protocol import ErrorCode
from assistant.gateway.resume import ResumeFailure
from assistant.gateway.roles import Permission
from assistant.gateway.schemas import Count, Delta, Milliseconds, Pong, Position, Status, TurnStarted


class Colleague(TypedDict):
    """Somebody to whom a conversation can be assigned."""

    agent_id: str
    name: str
    role: AgentRole


class AgentLimits(TypedDict):
    """How much an agent may send and watch."""

    max_text_chars: Position
    max_frame_bytes: Position
    max_subscriptions: Position


class AgentWelcome(TypedDict):
    """The hello is accepted: who one is, what one may do, and with whom; the list of conversations follows."""

    agent: Colleague
    permissions: list[Permission]
    colleagues: list[Colleague]
    heartbeat_s: float
    limits: AgentLimits


class ListedConversation(TypedDict):
    """One conversation in the list."""

    conversation_id: str
    tenant: str
    locale: str
    mode: Mode
    mode_since: str
    is_urgent: bool
    assignee: str | None
    assignee_name: str | None
    epoch: Position
    last_position: Count
    last_author: Author | None
    last_message_ts: str | None
    created_at: str
    updated_at: str


class Conversations(TypedDict):
    """The list: the whole of it (``is_whole``), or those that changed since the last such frame."""

    is_whole: bool
    counts: dict[Mode, Count]
    conversations: list[ListedConversation]


class Subscribed(TypedDict):
    """The conversation is shown from now on: the missed events follow in order, then `resumed`."""

    epoch: Position
    last_position: Count
    mode: Mode
    assignee: str | None


class Unsubscribed(TypedDict):
    """The conversation is shown no more."""


class AgentResumed(TypedDict):
    """All that was missed came before this frame."""

    upto: Count


class AgentResumeFailed(TypedDict):
    """It cannot be taken up where the client left off; a snapshot follows."""

    reason: ResumeFailure


class AgentSnapshot(TypedDict):
    """The conversation's latest events, private ones too, for a client that begins anew."""

    epoch: Position
    last_position: Count
    mode: Mode
    assignee: str | None
    events: list[dict[str, object]]


class AgentAck(TypedDict):
    """It is on the disk; ``position`` is where, or the conversation's last one where nothing had to change."""

    command: str
    position: Count
    client_msg_id: NotRequired[str]


class CustomerTyping(TypedDict):
    """The customer is writing; void after `ttl_ms` unless told again, and with their next message."""

    ttl_ms: Milliseconds


class Holder(TypedDict):
    """Who has a conversation."""

    agent_id: str
    name: str


class AgentError(TypedDict):
    """Something was not done: why, and what to do."""

    code: ErrorCode
    message: str
    command: NotRequired[str]
    client_msg_id: NotRequired[str]
    retry_after_ms: NotRequired[Count]
    holder: NotRequired[Holder]


TO_AGENTS: dict[str, type] = {
    "welcome": AgentWelcome,
    "conversations": Conversations,
    "subscribed": Subscribed,
    "unsubscribed": Unsubscribed,
    "resumed": AgentResumed,
    "resume_failed": AgentResumeFailed,
    "snapshot": AgentSnapshot,
    "ack": AgentAck,
    "turn.started": TurnStarted,
    "status": Status,
    "delta": Delta,
    "typing": CustomerTyping,
    "error": AgentError,
    "pong": Pong,
}
"""The data of the ephemeral frames on an agent's socket, by the frame's type."""
