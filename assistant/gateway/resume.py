"""Where a socket takes up its conversation.

An id that was handed out before anything is stored under it says itself whose it is, so no process has to remember it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from assistant.conversation.events import ConversationId
from assistant.conversation.log import ConversationLog, Head
from assistant.conversation.visitors import Visitor
from assistant.errors import UnknownConversation
from assistant.gateway.protocol import Hello

RESERVED = re.compile(r"c_(?P<nonce>[0-9a-f]{19})[0-9a-f]{20}")  # a time, so that ids sort by it; chance; a digest

ResumeFailure = Literal["unknown_conversation", "epoch_changed", "beyond_end"]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The conversation's head, what the client has already, or why that is worth nothing."""

    head: Head
    after_seq: int = 0
    failure: ResumeFailure | None = None


def reserved_id(visitor: Visitor) -> ConversationId:
    """A new conversation's id, which every process knows as this visitor's before anything is stored under it."""
    return _reserved_id(visitor, f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(4)}")


def is_reserved_for(visitor: Visitor, conversation_id: str) -> bool:
    """Whether `reserved_id` may have made this id for this visitor.

    A visitor who comes back with one keeps it, so that a message whose commit was under way when the socket broke
    meets itself in the same conversation when it is sent again.
    """
    made = RESERVED.fullmatch(conversation_id)
    return made is not None and _reserved_id(visitor, made["nonce"]) == conversation_id


def _reserved_id(visitor: Visitor, nonce: str) -> ConversationId:
    # Nobody can claim another's id: of the visitor ids one may come by, one in 2**80 fits. So no key is needed.
    digest = hashlib.sha256(f"{visitor.tenant}\0{visitor.visitor_id}\0{nonce}".encode()).hexdigest()
    return ConversationId(f"c_{nonce}{digest[:20]}")


async def resume(log: ConversationLog, visitor: Visitor, hello: Hello, *, locale: str) -> Resumption:
    """What the hello asks for; a reserved id where this visitor has no such conversation.

    A reserved id is stored with the conversation's first message and not before.
    """
    if hello.conversation_id is None:
        return Resumption(_reserved(visitor, None, locale))
    try:
        head = await own_head(log, visitor, hello.conversation_id)
    except UnknownConversation:
        wanted = hello.conversation_id if await is_free_for(log, visitor, hello.conversation_id) else None
        kept = wanted is not None and not hello.last_seq
        return Resumption(_reserved(visitor, wanted, locale), failure=None if kept else "unknown_conversation")
    if hello.epoch != head.epoch and (hello.epoch is not None or hello.last_seq):
        return Resumption(head, failure="epoch_changed")  # a seq without its epoch is worth nothing
    if hello.last_seq > head.last_seq:
        return Resumption(head, failure="beyond_end")
    return Resumption(head, hello.last_seq)


def _reserved(visitor: Visitor, wanted: str | None, locale: str) -> Head:
    conversation_id = reserved_id(visitor) if wanted is None else ConversationId(wanted)
    return Head(conversation_id, visitor.tenant, visitor.visitor_id, locale)


async def is_free_for(log: ConversationLog, visitor: Visitor, conversation_id: str) -> bool:
    """Whether the visitor may begin a conversation under this id: it was reserved for them, and nobody has it.

    Where something is stored under it, it was theirs and is another's: the customer's whom they turned out to be.
    """
    if not is_reserved_for(visitor, conversation_id):
        return False
    try:
        await log.head(ConversationId(conversation_id))
    except UnknownConversation:
        return True
    return False


async def own_head(log: ConversationLog, visitor: Visitor, conversation_id: str) -> Head:
    """The head of a visitor's own conversation. Raises `UnknownConversation` for another's as for none."""
    head = await log.head(ConversationId(conversation_id))
    if (head.visitor_id, head.tenant) != (visitor.visitor_id, visitor.tenant):
        raise UnknownConversation(f"There is no conversation {conversation_id}.", fix="Begin a new one.")
    return head
