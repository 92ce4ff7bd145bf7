"""What the assistant would answer, offered to the person who has the conversation instead of sent.

The same turn as a customer's, without business actions: a draft does nothing. What becomes of a draft is recorded with
the reply that was sent instead, so that it can be learned from. Bound: ``answer_timeout_s`` for a draft.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace

from assistant.config import Settings
from assistant.conversation.events import (
    Action,
    Decision,
    DraftOffered,
    DraftOutcome,
    DraftUsed,
    Event,
    Message,
    new_id,
)
from assistant.conversation.log import ConversationLog, Head
from assistant.dialogue.answering import MAX_HISTORY_MESSAGES
from assistant.dialogue.draft import Phase
from assistant.dialogue.history import question_of
from assistant.dialogue.responder import Responder

WORTH_OFFERING: tuple[Decision, ...] = ("verbatim", "composed", "clarified", "smalltalk")


class Suggesting:
    """Drafts answers. ``responder`` has no business actions."""

    def __init__(self, *, log: ConversationLog, responder: Responder, settings: Settings) -> None:
        self._log = log
        self._responder = responder
        self._settings = settings

    async def draft(self, head: Head, *, agent_id: str) -> DraftOffered | None:
        """A draft for the customer's latest message; None where there is none, or nothing worth offering to say.

        Raises `TimeoutError`. Cancelling it stops the model.
        """
        messages = await self._log.recent_messages(head.conversation_id, limit=MAX_HISTORY_MESSAGES)
        asked = next((event for event in reversed(messages) if event.author == "customer"), None)
        if asked is None or not isinstance(asked.payload, Message):
            return None
        tenant = "" if head.tenant == self._settings.tenant else head.tenant
        question = question_of(asked, messages, (), mode="bot", tenant=tenant)
        async with asyncio.timeout(self._settings.dialogue.answer_timeout_s):
            reply = await self._responder.respond(replace(question, user_id=None), _Unshown())
        if reply.decision not in WORTH_OFFERING:
            return None
        generator = self._responder.generator
        return DraftOffered(
            new_id("d"),
            reply.text,
            reply.language,
            agent_id,
            reply_to=asked.payload.message_id,
            citations=reply.citations,
            model=generator.model_name if reply.prompt_id else None,
            adapter=generator.adapter_name if reply.prompt_id else None,
            prompt_id=reply.prompt_id,
        )


class _Unshown:
    """Nobody watches a draft being written."""

    def enter(self, phase: Phase) -> None:
        """Not told."""

    def release(self, text: str) -> None:
        """Not shown."""

    async def record(self, action: Action) -> None:
        """Not reached: nothing is done for a draft."""
        raise AssertionError(f"a draft must not begin the action {action.name}")


def used(offered: Event | None, said: Message) -> list[DraftUsed]:
    """What a person's reply made of a draft; nothing where none was offered."""
    if offered is None or not isinstance(offered.payload, DraftOffered):
        return []
    draft = offered.payload
    longer = max(len(draft.text), len(said.text))
    distance = round(levenshtein(draft.text, said.text) / longer, 4) if longer else 0.0
    changed: DraftOutcome = "edited" if said.draft_id == draft.draft_id else "ignored"
    return [DraftUsed(draft.draft_id, said.message_id, changed if distance else "accepted", distance)]


def levenshtein(one: str, other: str) -> int:
    """How many characters have to be put in, taken out or replaced to make one text of the other.

    Bit-parallel (Myers 1999, as in Hyyrö 2003): two texts of 8,000 characters take some hundredths of a second.
    """
    if not one:
        return len(other)
    places, everywhere, end = defaultdict[str, int](int), (1 << len(one)) - 1, 1 << (len(one) - 1)
    for number, character in enumerate(one):
        places[character] |= 1 << number
    more, less, distance = everywhere, 0, len(one)
    for character in other:
        alike = places.get(character, 0)
        vertical = alike | less
        horizontal = (((alike & more) + more) ^ more) | alike
        up, down = less | (~(horizontal | more) & everywhere), more & horizontal
        distance += bool(up & end) - bool(down & end)
        up, down = ((up << 1) | 1) & everywhere, (down << 1) & everywhere
        more, less = down | (~(vertical | up) & everywhere), up & vertical
    return distance
