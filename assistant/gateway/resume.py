"""Where a socket takes up its conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assistant.conversation.events import ConversationId, new_conversation_id
from assistant.conversation.log import ConversationLog, Head
from assistant.conversation.visitors import Visitor
from assistant.errors import UnknownConversation
from assistant.gateway.protocol import Hello

ResumeFailure = Literal["unknown_conversation", "epoch_changed", "beyond_end"]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The conversation's head, what the client has already, or why that is worth nothing."""

    head: Head
    after_seq: int = 0
    failure: ResumeFailure | None = None


async def resume(log: ConversationLog, visitor: Visitor, hello: Hello, *, locale: str) -> Resumption:
    """What the hello asks for; a fresh conversation's reserved id where this visitor has no such conversation.

    A reserved id is stored with the conversation's first message and not before.
    """
    reserved = Head(new_conversation_id(), visitor.tenant, visitor.visitor_id, locale)
    if hello.conversation_id is None:
        return Resumption(reserved)
    try:
        head = await own_head(log, visitor, hello.conversation_id)
    except UnknownConversation:
        return Resumption(reserved, failure="unknown_conversation")
    if hello.epoch is not None and hello.epoch != head.epoch:
        return Resumption(head, failure="epoch_changed")
    if hello.last_seq > head.last_seq:
        return Resumption(head, failure="beyond_end")
    return Resumption(head, hello.last_seq)


async def own_head(log: ConversationLog, visitor: Visitor, conversation_id: str) -> Head:
    """The head of a visitor's own conversation. Raises `UnknownConversation` for another's as for none."""
    head = await log.head(ConversationId(conversation_id))
    if (head.visitor_id, head.tenant) != (visitor.visitor_id, visitor.tenant):
        raise UnknownConversation(f"There is no conversation {conversation_id}.", fix="Begin a new one.")
    return head
