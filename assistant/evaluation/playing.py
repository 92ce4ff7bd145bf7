"""Plays cases through the dialogue manager that serves customers, over a real conversation log.

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

ANSWER_LIMIT_S = 300.0
MAX_MESSAGES = 500

Progress = Callable[[int, int], None]
ManagerFor = Callable[[Case], DialogueManager]


@dataclass(frozen=True, slots=True)
class Played:
    """One case as it went: the last answer (None where none came), and what business actions returned."""

    case: Case
    answer: Message | None
    actions: tuple[Action, ...] = ()


class Player:
    """Lets customers speak; every case is a conversation of its own."""

    def __init__(
        self, log: ConversationLog, bus: Bus, manager_for: ManagerFor, visitor: Visitor, *, concurrency: int = 8
    ) -> None:
        self._log = log
        self._bus = bus
        self._manager_for = manager_for
        self._visitor = visitor
        self._places = asyncio.Semaphore(concurrency)

    async def play(self, cases: Sequence[Case], *, progress: Progress | None = None) -> list[Played]:
        """Play all cases; the results stand in the order of the cases."""
        done = 0

        async def one(case: Case) -> Played:
            nonlocal done
            async with self._places:
                played = await self._play(case)
            done += 1
            if progress:
                progress(done, len(cases))
            return played

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(case)) for case in cases]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def _play(self, case: Case) -> Played:
        manager = self._manager_for(case)
        speaker = Speaker(new_conversation_id(), self._visitor.visitor_id, self._visitor.tenant, case.lang)
        answer: Message | None = None
        for number, text in enumerate(case.asked):
            event = await manager.receive(speaker, text, f"turn-{number}")
            answer = await self._answer(speaker.conversation_id, event)
            if answer is None:
                break
        events = await self._log.events(speaker.conversation_id)
        return Played(case, answer, tuple(e.payload for e in events if isinstance(e.payload, Action)))

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
