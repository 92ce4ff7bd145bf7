"""Where a socket takes up its conversation.

Bounds: `MAX_RESERVED` reserved ids are remembered, those handed out last.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from assistant.conversation.events import ConversationId, VisitorId, new_conversation_id
from assistant.conversation.log import ConversationLog, Head
from assistant.conversation.visitors import Visitor
from assistant.errors import UnknownConversation
from assistant.gateway.protocol import Hello

MAX_RESERVED = 10_000

ResumeFailure = Literal["unknown_conversation", "epoch_changed", "beyond_end"]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The conversation's head, what the client has already, or why that is worth nothing."""

    head: Head
    after_seq: int = 0
    failure: ResumeFailure | None = None


class Reservations:
    """The conversation ids that were handed out and may not be stored yet.

    A visitor who comes back with one keeps it, so that a message whose commit was under way when the socket broke
    meets itself in the same conversation when it is sent again.
    """

    def __init__(self, *, max_reserved: int = MAX_RESERVED) -> None:
        self._max_reserved = max_reserved
        self._owners: OrderedDict[str, VisitorId] = OrderedDict()  # oldest first

    def reserve(self, visitor: Visitor, wanted: str | None) -> ConversationId:
        """The id that is wanted, where it was reserved for this visitor; otherwise a new one."""
        if wanted is not None and self._owners.get(wanted) == visitor.visitor_id:
            return ConversationId(wanted)
        reserved = new_conversation_id()
        self._owners[reserved] = visitor.visitor_id
        if len(self._owners) > self._max_reserved:
            self._owners.popitem(last=False)
        return reserved


async def resume(
    log: ConversationLog, reservations: Reservations, visitor: Visitor, hello: Hello, *, locale: str
) -> Resumption:
    """What the hello asks for; a reserved id where this visitor has no such conversation.

    A reserved id is stored with the conversation's first message and not before.
    """
    if hello.conversation_id is None:
        return Resumption(_reserved(reservations, visitor, None, locale))
    try:
        head = await own_head(log, visitor, hello.conversation_id)
    except UnknownConversation:
        head = _reserved(reservations, visitor, hello.conversation_id, locale)
        kept = head.conversation_id == hello.conversation_id and not hello.last_seq
        return Resumption(head, failure=None if kept else "unknown_conversation")
    if hello.epoch != head.epoch and (hello.epoch is not None or hello.last_seq):
        return Resumption(head, failure="epoch_changed")  # a seq without its epoch is worth nothing
    if hello.last_seq > head.last_seq:
        return Resumption(head, failure="beyond_end")
    return Resumption(head, hello.last_seq)


def _reserved(reservations: Reservations, visitor: Visitor, wanted: str | None, locale: str) -> Head:
    return Head(reservations.reserve(visitor, wanted), visitor.tenant, visitor.visitor_id, locale)


async def own_head(log: ConversationLog, visitor: Visitor, conversation_id: str) -> Head:
    """The head of a visitor's own conversation. Raises `UnknownConversation` for another's as for none."""
    head = await log.head(ConversationId(conversation_id))
    if (head.visitor_id, head.tenant) != (visitor.visitor_id, visitor.tenant):
        raise UnknownConversation(f"There is no conversation {conversation_id}.", fix="Begin a new one.")
    return head
