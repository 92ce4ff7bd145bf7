"""Conversations as they run: each customer message is committed, answered once, and the answer committed.

Bounds: `dialogue.max_turns` turns run or wait in all, `MAX_WAITING_PER_CONVERSATION` in one conversation.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace

import structlog

from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.events import (
    ConversationId,
    Event,
    Feedback,
    Insight,
    Message,
    MessageId,
    NewEvent,
    Opened,
    Rating,
    State,
    TurnId,
    VisitorId,
    new_id,
)
from assistant.conversation.log import ConversationLog, Head
from assistant.dialogue import replies
from assistant.dialogue.history import asked_by, attempt, question_of
from assistant.dialogue.live import LiveTurn
from assistant.dialogue.markup import plain_html, to_html
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question, Reply
from assistant.errors import Busy, UnknownMessage
from assistant.faults import report
from assistant.language import detect, fold

log = structlog.get_logger()

MAX_WAITING_PER_CONVERSATION = 4
MAX_HISTORY_MESSAGES = 200
MAX_HISTORY_ACTIONS = 40
MAX_ATTEMPTS = 5
RETRY_AFTER_MS_PER_TURN = 1_000


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks, and where."""

    conversation_id: ConversationId
    visitor_id: VisitorId
    tenant: str
    locale: str
    page: str = ""


class DialogueManager:
    """Takes customers' messages and answers them, one turn at a time in each conversation.

    It owns the turns' tasks: a turn goes on when its customer's socket drops, and ends with exactly one
    final message, whatever happens to the model.
    """

    def __init__(self, *, log: ConversationLog, bus: Bus, responder: Responder, settings: Settings) -> None:
        self._log = log
        self._bus = bus
        self._responder = responder
        self._settings = settings
        self._live: dict[ConversationId, LiveTurn] = {}
        self._tasks: dict[asyncio.Task[None], ConversationId] = {}
        self._turn: defaultdict[ConversationId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self) -> None:
        """Answer what a crash left unanswered."""
        waiting = await self._log.unanswered()
        for event in waiting:
            self._begin(event)
        if waiting:
            log.info("answering_after_restart", messages=len(waiting))

    async def close(self) -> None:
        """Stop the running turns: what they released becomes their final message."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self, speaker: Speaker, text: str, client_msg_id: str) -> Event:
        """Commit a customer's message and begin its turn; gives the committed event.

        The same ``client_msg_id`` gives the same event again. Raises `IdempotencyConflict` where its text
        differs, and `Busy` before anything is stored where too many turns wait. A caller that is cancelled does
        not part the commit from the turn.
        """
        return await asyncio.shield(self._receive(speaker, text, client_msg_id))

    async def _receive(self, speaker: Speaker, text: str, client_msg_id: str) -> Event:
        earlier = await self._log.client_message(speaker.conversation_id, client_msg_id)
        if earlier is None:
            self._refuse_overload(speaker.conversation_id)
        language = detect(text, fallback=await self._language_so_far(speaker))
        message = Message(new_id("m"), text, plain_html(text), language, client_msg_id=client_msg_id)
        opening = Opened(speaker.tenant, speaker.visitor_id, speaker.locale, speaker.page)
        stored = await self._log.append(speaker.conversation_id, [NewEvent("customer", message)], opening=opening)
        event = stored[-1]
        if isinstance(event.payload, Message) and event.payload.message_id == message.message_id:
            self._begin(event)
        return event

    def live(self, conversation_id: ConversationId) -> LiveTurn | None:
        """The conversation's running turn."""
        return self._live.get(conversation_id)

    def stop(self, conversation_id: ConversationId, turn_id: TurnId) -> bool:
        """Stop a running turn, if it still runs: what it released becomes its final message."""
        turn = self._live.get(conversation_id)
        if turn is None or turn.turn_id != turn_id:
            return False
        return any(task.get_name() == turn.reply_to and task.cancel() for task in self._tasks)

    async def feedback(self, conversation_id: ConversationId, message_id: str, rating: Rating, comment: str) -> None:
        """Record what the customer thought of an answer. Raises `UnknownMessage`."""
        event = await self._log.message(conversation_id, message_id)
        if event is None or event.author == "customer":
            raise UnknownMessage(
                f"There is no answer {message_id} in this conversation.", fix="Rate one that is there."
            )
        await self._log.append(conversation_id, [NewEvent("customer", Feedback(message_id, rating, comment))])

    async def request_person(self, speaker: Speaker, reason: str) -> None:
        """Note that the customer waits for a person, and tell how to reach one."""
        language = await self._language_so_far(speaker)
        said = replies.written(language, self._settings.default_language)
        text = replies.hand_over(said, self._settings.handoff_of(speaker.tenant), tone=self._settings.style.tone)
        message = Message(new_id("m"), text, to_html(text), said, decision="handoff", finish_reason="stop")
        opening = Opened(speaker.tenant, speaker.visitor_id, speaker.locale, speaker.page)
        events = [NewEvent("system", State("waiting", reason=reason or "asked")), NewEvent("assistant", message)]
        await self._log.append(speaker.conversation_id, events, opening=opening)

    async def regenerate(self, speaker: Speaker, message_id: str) -> None:
        """Answer once more what the last answer replied to, in other words; the new answer replies to that one.

        Raises `UnknownMessage` where that is not the conversation's last answer or has been reworded
        `MAX_ATTEMPTS` times, and `Busy`.
        """
        messages = await self._log.recent_messages(speaker.conversation_id, limit=MAX_HISTORY_MESSAGES)
        asked = asked_by(messages, message_id)
        if asked is None or attempt(messages, message_id) > MAX_ATTEMPTS:
            raise UnknownMessage(
                f"{message_id} is not the last answer here, or was worded {MAX_ATTEMPTS} times more already.",
                fix="Ask the question again.",
            )
        self._refuse_overload(speaker.conversation_id)
        self._begin(asked, replaces=message_id)

    # -- turns

    def _refuse_overload(self, conversation_id: ConversationId) -> None:
        here = sum(1 for owner in self._tasks.values() if owner == conversation_id)
        if len(self._tasks) < self._settings.dialogue.max_turns and here < MAX_WAITING_PER_CONVERSATION:
            return
        position = len(self._tasks) + 1
        raise Busy(retry_after_ms=min(30_000, RETRY_AFTER_MS_PER_TURN * position), queue_position=position)

    def _begin(self, event: Event, *, replaces: str | None = None) -> None:
        assert isinstance(event.payload, Message)
        name = replaces or event.payload.message_id
        task = asyncio.create_task(self._take_turn(event, event.payload, replaces), name=name)
        self._tasks[task] = event.conversation_id
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        conversation_id = self._tasks.pop(task)
        if conversation_id not in self._tasks.values():
            self._turn.pop(conversation_id, None)
        if not task.cancelled() and (error := task.exception()):
            report("turn_lost", error, conversation_id=conversation_id)

    async def _take_turn(self, event: Event, message: Message, replaces: str | None) -> None:
        """One turn, alone in its conversation: show it, answer, commit the answer."""
        async with self._turn[event.conversation_id]:
            head = await self._log.head(event.conversation_id)
            if head.mode not in ("bot", "waiting"):
                return  # a person answers
            turn = LiveTurn(event.conversation_id, MessageId(replaces or message.message_id), self._bus, self._log)
            self._live[event.conversation_id] = turn
            self._bus.wake(event.conversation_id)
            try:
                reply = await self._reply(head, event, message, turn, replaces)
                await self._commit(turn, reply, head)
            finally:
                del self._live[event.conversation_id]
                self._bus.wake(event.conversation_id)

    async def _reply(self, head: Head, event: Event, message: Message, turn: LiveTurn, replaces: str | None) -> Reply:
        """The answer, or what has to stand for it when the turn was stopped or broke."""
        said = replies.written(message.language, self._settings.default_language)
        try:
            question = await self._question(head, event, replaces)
            return await self._responder.respond(question, turn)
        except asyncio.CancelledError:
            text = turn.text.rstrip() or replies.say("stopped", said)
            return Reply(text, said, "composed", "stopped", finish_reason="interrupted")
        except Exception as error:  # whatever broke, the customer gets an answer and the next turn runs
            report("turn_failed", error, conversation_id=head.conversation_id)
        return Reply(replies.say("failed", said), said, "abstained", "the turn failed", finish_reason="error")

    async def _question(self, head: Head, event: Event, replaces: str | None) -> Question:
        messages = await self._log.recent_messages(head.conversation_id, limit=MAX_HISTORY_MESSAGES)
        actions = await self._log.recent_actions(head.conversation_id, limit=MAX_HISTORY_ACTIONS)
        tenant = "" if head.tenant == self._settings.tenant else head.tenant
        question = question_of(event, messages, actions, mode=head.mode, tenant=tenant)
        return replace(question, attempt=attempt(messages, replaces))

    async def _commit(self, turn: LiveTurn, reply: Reply, head: Head) -> None:
        generator = self._responder.generator
        composed = reply.prompt_id is not None
        message = Message(
            message_id=turn.message_id,
            text=reply.text,
            html=to_html(reply.text),
            language=reply.language,
            reply_to=turn.reply_to,
            decision=reply.decision,
            citations=reply.citations,
            quick_replies=reply.quick_replies,
            finish_reason=reply.finish_reason,
            reason=reply.reason,
            confidence=reply.confidence,
            model=generator.model_name if composed else None,
            adapter=generator.adapter_name if composed else None,
            prompt_id=reply.prompt_id,
            passages=reply.passages,
            timings_ms=reply.timings_ms or None,
        )
        events = [*_noted(turn, reply), NewEvent("assistant", message)]
        if reply.decision == "handoff" and head.mode == "bot":
            events.insert(0, NewEvent("system", State("waiting", reason="asked")))
        # A second cancellation (stop, then shutdown) must not lose the answer.
        await asyncio.shield(self._log.append(turn.conversation_id, events))

    async def _language_so_far(self, speaker: Speaker) -> str:
        said = await self._log.recent_messages(speaker.conversation_id, limit=8)
        spoken = [e.payload.language for e in said if e.author == "customer" and isinstance(e.payload, Message)]
        return spoken[-1] if spoken else fold(speaker.locale) or self._settings.default_language


def _noted(turn: LiveTurn, reply: Reply) -> list[NewEvent]:
    """What was read in the customer's message, as an event."""
    if reply.reading is None:
        return []
    reading = reply.reading
    insight = Insight(
        turn.reply_to, reading.sentiment, reading.urgency, reading.intent, reading.entities, reading.concern
    )
    return [NewEvent("system", insight)]
