"""What an agent may send over ``/v1/agent/ws``, and which permission each frame needs. No I/O.

Bounds: `MAX_LABEL_CHARS` of a label; texts and notes are as long as a customer's message may be.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from assistant.gateway.protocol import Counter, Frame, Id, Secret, parse_as, readable
from assistant.gateway.roles import Permission

MAX_LABEL_CHARS = 64


class AgentHello(Frame):
    """Who connects, by a token of ``/v1/agent/login`` or ``/v1/agent/token``."""

    type: Literal["hello"]
    token: Secret


class Subscribe(Frame):
    """Show a conversation from the event after ``last_position`` on; 0 is its beginning."""

    type: Literal["subscribe"]
    conversation_id: Id
    epoch: Counter | None = None
    last_position: Counter = 0


class Unsubscribe(Frame):
    """Show a conversation no more."""

    type: Literal["unsubscribe"]
    conversation_id: Id


class Claim(Frame):
    """Take a conversation over; ``force``: also from somebody else."""

    type: Literal["claim"]
    conversation_id: Id
    force: bool = False


class Release(Frame):
    """Give a conversation back to the assistant, with a note for the others; ``force``: also somebody else's."""

    type: Literal["release"]
    conversation_id: Id
    note: str = ""
    force: bool = False


class AgentReply(Frame):
    """Write to the customer of a conversation that one has; ``draft_id``: the draft that it was made from."""

    type: Literal["reply"]
    conversation_id: Id
    client_msg_id: Id
    text: str
    draft_id: Id | None = None


class AskForDraft(Frame):
    """Draft an answer to the customer of a conversation that one has; it comes as a `draft.offered` event."""

    type: Literal["draft"]
    conversation_id: Id


class WriteNote(Frame):
    """Tell the other agents something; the customer never sees it."""

    type: Literal["note"]
    conversation_id: Id
    client_msg_id: Id
    text: str


class PutLabel(Frame):
    """Put a label on a conversation or on one message of it, or take it off."""

    type: Literal["label"]
    conversation_id: Id
    label: Annotated[str, Field(min_length=1, max_length=MAX_LABEL_CHARS)]
    message_id: Id | None = None
    is_on: bool = True


class Assign(Frame):
    """Hand a conversation that one has to somebody else; ``force``: also one that one has not."""

    type: Literal["assign"]
    conversation_id: Id
    agent_id: Id
    force: bool = False


class CloseConversation(Frame):
    """End a conversation that one has until the customer writes again; ``force``: also one that one has not."""

    type: Literal["close"]
    conversation_id: Id
    force: bool = False


class AgentTyping(Frame):
    """One is writing to the customer; to be told again every few seconds while it lasts."""

    type: Literal["typing"]
    conversation_id: Id


class AgentPing(Frame):
    """A sign of life."""

    type: Literal["ping"]


AgentCommand = (
    AgentHello
    | Subscribe
    | Unsubscribe
    | Claim
    | Release
    | AgentReply
    | AskForDraft
    | WriteNote
    | PutLabel
    | Assign
    | CloseConversation
    | AgentTyping
    | AgentPing
)

AGENT_COMMANDS: dict[str, type[AgentCommand]] = {
    "hello": AgentHello,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "claim": Claim,
    "release": Release,
    "reply": AgentReply,
    "draft": AskForDraft,
    "note": WriteNote,
    "label": PutLabel,
    "assign": Assign,
    "close": CloseConversation,
    "typing": AgentTyping,
    "ping": AgentPing,
}

REQUIRED: dict[type[AgentCommand], Permission] = {
    AgentHello: "conversation.list",
    Subscribe: "conversation.read",
    Unsubscribe: "conversation.read",
    Claim: "conversation.claim",
    Release: "conversation.release",
    AgentReply: "conversation.reply",
    AskForDraft: "conversation.reply",
    WriteNote: "conversation.note",
    PutLabel: "conversation.label",
    Assign: "conversation.assign",
    CloseConversation: "conversation.close",
    AgentTyping: "conversation.reply",
    AgentPing: "session.use",
}
assert set(REQUIRED) == set(AGENT_COMMANDS.values())


def parse_agent(raw: str, *, max_text_chars: int) -> AgentCommand:
    """An agent's frame as a command. Raises `Refusal`, and nothing else, for whatever is wrong with it."""
    return parse_as(AGENT_COMMANDS, raw, clean=lambda command: _cleaned(command, max_text_chars))


def permissions_for(command: AgentCommand) -> tuple[Permission, ...]:
    """What a role needs for this frame."""
    forces = isinstance(command, Claim | Release | Assign | CloseConversation) and command.force
    needed = REQUIRED[type(command)]
    return (needed, "conversation.override") if forces else (needed,)


def _cleaned(command: AgentCommand, max_text_chars: int) -> AgentCommand:
    match command:
        case AgentReply() | WriteNote():
            return command.model_copy(update={"text": readable(command.text, max_text_chars, needed=True)})
        case Release():
            return command.model_copy(update={"note": readable(command.note, max_text_chars)})
        case PutLabel():
            label = " ".join(readable(command.label, MAX_LABEL_CHARS, needed=True).split())
            return command.model_copy(update={"label": label})
    return command
