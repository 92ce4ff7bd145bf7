"""Plays customers through the dialogue manager that serves them, over a real conversation log.

Bounds: `concurrency` conversations at a time, `ANSWER_LIMIT_S` a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.conversation.bus import Bus
from assistant.conversation.events import (
    Action,
    ConversationId,
    Event,
    Message,
    new_conversation_id,
)
from assistant.conversation.log import ConversationLog
from assistant.conversation.visitors import Visitor
from assistant.dialogue.manager import DialogueManager, Speaker
from assistant.evaluation.cases import Case
from assistant.evaluation.gathering import CONCURRENCY, Progress, each

ANSWER_LIMIT_S = 300.0
MAX_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Played:
    """One case as it went: the last answer (None where none came), and what business actions returned."""

    case: Case
    answer: Message | None
    actions: tuple[Action, ...] = ()


class Conversations:
    """Lets a visitor speak to one manager; whatever is said begins a conversation of its own."""

    def __init__(self, manager: DialogueManager, log: ConversationLog, bus: Bus, visitor: Visitor) -> None:
        self._manager = manager
        self._log = log
        self._bus = bus
        self._visitor = visitor

    async def ask(self, text: str, language: str) -> Message | None:
        """The answer to the first message of a conversation; None where none came."""
        return (await self.hold([text], language))[0]

    async def hold(self, asked: Sequence[str], locale: str) -> tuple[Message | None, ConversationId]:
        """Say these one after the other; the last answer. Where one of them gets none, nothing more is said."""
        speaker = Speaker(new_conversation_id(), self._visitor.visitor_id, self._visitor.tenant, locale)
        answer: Message | None = None
        for number, text in enumerate(asked):
            event = await self._manager.receive(speaker, text, f"turn-{number}")
            answer = await self._answer(speaker.conversation_id, event)
            if answer is None:
                break
        return answer, speaker.conversation_id

    async def actions(self, conversation_id: ConversationId) -> tuple[Action, ...]:
        """The steps of business actions in a conversation, oldest first."""
        events = await self._log.events(conversation_id)
        return tuple(event.payload for event in events if isinstance(event.payload, Action))

    async def _answer(self, conversation_id: ConversationId, asked: Event) -> Message | None:
        """The answer to one message, once it is committed; None where none comes in time or a person answers."""
        assert isinstance(asked.payload, Message)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await self._wait(conversation_id, asked.payload.message_id)
        except TimeoutError:
            return None

    async def _wait(self, conversation_id: ConversationId, message_id: str) -> Message | None:
        with self._bus.watch(conversation_id) as news:
            while True:
                news.clear()
                for event in await self._log.recent_messages(conversation_id, limit=MAX_MESSAGES):
                    if isinstance(event.payload, Message) and event.payload.reply_to == message_id:
                        return event.payload
                if (await self._log.head(conversation_id)).mode not in ("bot", "waiting"):
                    return None
                await news.wait()


class Player:
    """Plays cases, each in the conversations that ``conversations_for`` names for it."""

    def __init__(self, conversations_for: Callable[[Case], Conversations], *, concurrency: int = CONCURRENCY) -> None:
        self._conversations_for = conversations_for
        self._concurrency = concurrency

    async def play(self, cases: Sequence[Case], *, progress: Progress | None = None) -> list[Played]:
        """Play all cases; the results stand in the order of the cases."""
        return await each(self._play, cases, concurrency=self._concurrency, progress=progress)

    async def _play(self, case: Case) -> Played:
        conversations = self._conversations_for(case)
        answer, conversation_id = await conversations.hold(case.asked, case.lang)
        return Played(case, answer, await conversations.actions(conversation_id))
