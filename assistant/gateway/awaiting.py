"""Waiting for an answer without a socket."""

from __future__ import annotations

import asyncio
import contextlib

from assistant.conversation.events import Event, Message, State
from assistant.conversation.log import MAX_EVENTS_PER_READ, ConversationLog
from assistant.gateway.parts import Parts


async def answer_to(parts: Parts, asked: Event, *, timeout_s: float) -> Event | None:
    """The assistant's answer to a customer's message, or a person's first word after it.

    None if none came in time, or if a person has taken the conversation and says nothing yet. With a ``timeout_s`` of
    0 only an answer that is there already is found.
    """
    conversation_id = asked.conversation_id
    with parts.bus.watch(conversation_id) as wake:
        seen = -1  # the first look reads the log in any case
        found: Event | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s or None):
                while found is None:
                    wake.clear()
                    if (commits := parts.bus.num_commits(conversation_id)) != seen:
                        seen, found = commits, await _outcome(parts.log, asked)
                    if found is None and timeout_s:
                        await wake.wait()
                    elif found is None:
                        return None
    return found if found is not None and isinstance(found.payload, Message) else None


async def _outcome(log: ConversationLog, asked: Event) -> Event | None:
    """The first event that ends the waiting: an answer, or that the assistant will give none."""
    assert isinstance(asked.payload, Message)
    message_id, after_seq = asked.payload.message_id, asked.seq or 0
    while True:
        page = await log.public_events(asked.conversation_id, after_seq=after_seq, limit=MAX_EVENTS_PER_READ)
        for event in page:
            said = event.payload
            if isinstance(said, Message) and (said.reply_to == message_id or event.author == "agent"):
                return event
            if isinstance(said, State) and said.mode in ("human", "closed"):
                return event
        if len(page) < MAX_EVENTS_PER_READ:
            return None
        after_seq = page[-1].seq or 0
