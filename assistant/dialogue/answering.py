"""One turn's answer: the question from the log, the reply in time, and the reply committed, whatever breaks.

The ladder: the responder's answer; where the model hangs or fails, what it puts together without it; where the
responder itself breaks or is late, a person is offered. Bound: ``answer_timeout_s`` for the whole of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from assistant.config import Settings
from assistant.conversation.events import Event, Insight, Message, NewEvent, State
from assistant.conversation.log import ConversationLog, Head
from assistant.dialogue import replies, takeover
from assistant.dialogue.admission import Admission
from assistant.dialogue.history import attempt, question_of
from assistant.dialogue.ladder import Ladder
from assistant.dialogue.line import WaitingLine
from assistant.dialogue.live import LiveTurn
from assistant.dialogue.markup import to_html
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question, Reply
from assistant.dialogue.unbroken import unbroken
from assistant.errors import ConversationClosed, TakenByAnother
from assistant.faults import report

MAX_HISTORY_MESSAGES = 200
MAX_HISTORY_ACTIONS = 40


class Answering:
    """Answers customers' messages and puts the answers into the log."""

    def __init__(
        self,
        *,
        log: ConversationLog,
        responder: Responder,
        admission: Admission,
        line: WaitingLine,
        ladder: Ladder,
        settings: Settings,
    ) -> None:
        self._line = line
        self._ladder = ladder
        self._log = log
        self._responder = responder
        self._admission = admission
        self._settings = settings

    async def answer(self, head: Head, event: Event, turn: LiveTurn, *, replaces: str | None = None) -> None:
        """Answer a customer's message and commit the answer, which replaces the one with id ``replaces``.

        Cancelling it makes what was released so far the answer. Raises `StorageError` where it cannot be committed.
        """
        assert isinstance(event.payload, Message)
        reply = await self._reply(head, event, event.payload, turn, replaces)
        await unbroken(self._commit(head, turn, reply))

    async def _commit(self, head: Head, turn: LiveTurn, reply: Reply) -> None:
        """Commit the answer. Where a person has come meanwhile, only what was shown of it, or nothing."""
        try:
            await self._log.append(head.conversation_id, self._events(turn, reply, head), first=takeover.answer)
        except (TakenByAnother, ConversationClosed):
            if shown := turn.text.rstrip():
                cut_off = self._events(turn, _cut_off(reply, shown), head)
                await self._log.append(head.conversation_id, cut_off)

    async def _reply(self, head: Head, event: Event, message: Message, turn: LiveTurn, replaces: str | None) -> Reply:
        said = replies.written(message.language, self._settings.default_language)
        try:
            async with self._admission.running(), asyncio.timeout(self._settings.dialogue.answer_timeout_s):
                question = await self._question(head, event, replaces)
                return await self._responder.respond(question, turn)
        except asyncio.CancelledError:
            if self._admission.is_closed and turn.phase == "queued":
                raise  # nobody has seen anything of it yet: it is answered after the restart
            text = turn.text.rstrip() or replies.say("stopped", said)
            return Reply(text, said, "composed", "stopped", finish_reason="interrupted")
        except Exception as error:  # whatever broke, the customer gets an answer and the next turn runs
            report("turn_failed", error, conversation_id=head.conversation_id)
            return self._offer_a_person(head, turn, said, error)

    async def _question(self, head: Head, event: Event, replaces: str | None) -> Question:
        before = None if replaces else event.position
        limit = MAX_HISTORY_MESSAGES
        messages = await self._log.recent_messages(head.conversation_id, limit=limit, before=before)
        has_actions = bool(self._settings.actions)
        limit = MAX_HISTORY_ACTIONS
        actions = await self._log.recent_actions(head.conversation_id, limit=limit) if has_actions else []
        tenant = "" if head.tenant == self._settings.tenant else head.tenant
        # A history of the longest messages takes a fifth of a second to read.
        question = await asyncio.to_thread(question_of, event, messages, actions, mode=head.mode, tenant=tenant)
        return replace(question, attempt=attempt(messages, replaces))

    def _offer_a_person(self, head: Head, turn: LiveTurn, said: replies.Written, error: Exception) -> Reply:
        """The last rung: a person, after what was shown already."""
        self._ladder.step_down("person")
        handoff = self._settings.handoff_of(head.tenant)
        offer = replies.hand_over(said, handoff, because="failed", tone=self._settings.style.tone)
        text = replies.paragraphs(turn.text.rstrip(), offer)
        reason = f"the turn failed ({type(error).__name__})"
        return Reply(text, said, "handoff", reason, finish_reason="error")

    def _events(self, turn: LiveTurn, reply: Reply, head: Head) -> list[NewEvent]:
        events = [*_noted(turn, reply), NewEvent("assistant", self._message(turn, reply))]
        if reply.decision == "handoff" and head.mode == "bot":
            reason = "failed" if reply.finish_reason == "error" else "asked"
            place = self._line.next_place(head.tenant)
            events.insert(0, NewEvent("system", State("waiting", reason=reason, queue_position=place)))
        return events

    def _message(self, turn: LiveTurn, reply: Reply) -> Message:
        generator = self._responder.generator
        composed = reply.prompt_id is not None
        return Message(
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


def _cut_off(reply: Reply, shown: str) -> Reply:
    """The part of an answer that was shown when a person came."""
    citations = tuple(citation for citation in reply.citations if citation.text_end <= len(shown))
    return replace(
        reply,
        text=shown,
        decision="composed",
        reason="a person came",
        citations=citations,
        quick_replies=(),
        finish_reason="interrupted",
    )


def _noted(turn: LiveTurn, reply: Reply) -> list[NewEvent]:
    """What was read in the customer's message, as an event."""
    if reply.reading is None:
        return []
    reading = reply.reading
    insight = Insight(
        turn.reply_to, reading.sentiment, reading.urgency, reading.intent, reading.entities, reading.concern
    )
    return [NewEvent("system", insight)]
