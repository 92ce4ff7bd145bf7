"""Conversations as they run: each customer message is committed, answered once, and the answer committed.

Bounds: `admission.py` has those of the turns; `REPEAT_CHECK_S` for finding out, where all places are taken, whether a
message is there already; every `SWEEP_S` what nobody answers is looked for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.events import (
    ConversationId,
    Event,
    Feedback,
    Message,
    MessageId,
    NewEvent,
    Opened,
    Rating,
    TurnId,
    VisitorId,
    new_id,
)
from assistant.conversation.log import ConversationLog
from assistant.dialogue import replies, takeover
from assistant.dialogue.admission import Admission, Place
from assistant.dialogue.answering import MAX_HISTORY_MESSAGES, Answering
from assistant.dialogue.history import asked_by, attempt
from assistant.dialogue.ladder import Ladder
from assistant.dialogue.line import WaitingLine
from assistant.dialogue.live import LiveTurn
from assistant.dialogue.markup import plain_html, to_html
from assistant.dialogue.orphans import Orphans
from assistant.dialogue.responder import Responder
from assistant.dialogue.typing import Typing
from assistant.dialogue.unbroken import unbroken
from assistant.errors import Busy, TakenByAnother, UnknownMessage
from assistant.faults import report
from assistant.language import detect, primary_language

log = structlog.get_logger()

MAX_ATTEMPTS = 5
REPEAT_CHECK_S = 0.05
WARM_UP = "How long does delivery take?"
SWEEP_S = 60.0
COMMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks, and where. ``user_id`` is who the site has vouched for that they are, never what they say.

    ``networks`` are whom their turns are counted for: their address, then wider networks; none for a trusted program.
    """

    conversation_id: ConversationId
    visitor_id: VisitorId
    tenant: str
    locale: str
    page: str = ""
    user_id: str | None = None
    networks: tuple[str, ...] = ()


class DialogueManager:
    """Takes customers' messages and answers them, one turn at a time in each conversation.

    It owns the turns' tasks: a turn goes on when its customer's socket drops, and ends with exactly one
    final message, whatever happens to the model.
    """

    def __init__(
        self,
        *,
        log: ConversationLog,
        bus: Bus,
        responder: Responder,
        settings: Settings,
        ladder: Ladder | None = None,
    ) -> None:
        self._log = log
        self._bus = bus
        self._settings = settings
        self._admission = Admission(settings.dialogue)
        self.ladder = ladder or Ladder()
        self._orphans = Orphans(log, settings.dialogue)
        self.line = WaitingLine(bus)
        self._answering = Answering(
            log=log,
            responder=responder,
            admission=self._admission,
            line=self.line,
            ladder=self.ladder,
            settings=settings,
        )
        self._live: dict[ConversationId, LiveTurn] = {}
        self._tasks: dict[asyncio.Task[None], ConversationId] = {}
        self._num_receiving = 0  # messages being committed
        self._is_received = asyncio.Event()  # that none is
        self._turn: defaultdict[ConversationId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sweeper: asyncio.Task[None] | None = None
        self.typing = Typing(bus)
        self.customer_typing = Typing(bus)
        self._is_closed = False

    async def start(self) -> None:
        """Answer what a crash left unanswered, and go on looking for what another process leaves so."""
        await asyncio.to_thread(detect, WARM_UP, fallback="en")  # its first use reads a model: most of a second
        self._take_up(await self._orphans.left_by_a_crash())
        self._sweeper = asyncio.create_task(self._sweep())

    async def resume(self, conversation_id: ConversationId) -> None:
        """Answer what waits in a conversation that people have left to the assistant again."""
        self._take_up(await self._log.unanswered(conversation_id))

    async def drain(self, *, within_s: float) -> None:
        """Take no more messages, and let the turns end; those that do not are stopped, as by `close`."""
        self._admission.close()
        if self._tasks:
            log.info("turns_ending", turns=len(self._tasks))
            await asyncio.wait(list(self._tasks), timeout=within_s)
        await self.close()

    async def close(self) -> None:
        """Stop the running turns: what they released becomes their final message.

        Turns that wait for their place are left to the next start.
        """
        self._admission.close()
        self._is_closed = True
        tasks: list[asyncio.Task[None]] = [*self._tasks, *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=COMMIT_S)
        with suppress(TimeoutError):  # what is committed after this, the next start does not see
            async with asyncio.timeout(COMMIT_S):
                while self._num_receiving:
                    self._is_received.clear()
                    await self._is_received.wait()

    async def receive(self, speaker: Speaker, text: str, client_msg_id: str) -> Event:
        """Commit a customer's message and begin its turn; gives the committed event.

        The same ``client_msg_id`` gives the same event again. Raises `IdempotencyConflict` where its text
        differs, and `Busy` before anything is stored where too many turns wait. A caller that is cancelled does
        not part the commit from the turn.
        """
        self._num_receiving += 1
        work = self._receive(speaker, text, client_msg_id)
        return await unbroken(self._counted(work))

    async def _counted(self, work: Coroutine[Any, Any, Event]) -> Event:
        try:
            return await work
        finally:
            self._num_receiving -= 1
            self._is_received.set()

    async def _receive(self, speaker: Speaker, text: str, client_msg_id: str) -> Event:
        place = await self._reserve(speaker, client_msg_id)
        try:
            language = detect(text, fallback=await self._language_so_far(speaker))
            known = speaker.user_id
            message = Message(new_id("m"), text, plain_html(text), language, client_msg_id=client_msg_id, user_id=known)
            opening = Opened(speaker.tenant, speaker.visitor_id, speaker.locale, speaker.page)
            new = [NewEvent("customer", message)]
            stored = await self._log.append(speaker.conversation_id, new, opening=opening, first=takeover.reopen)
        except BaseException:
            place.free()
            raise
        event = stored[-1]
        if isinstance(event.payload, Message) and event.payload.message_id == message.message_id:
            self._begin(event, place)
        else:
            place.free()
        return event

    async def _reserve(self, speaker: Speaker, client_msg_id: str) -> Place:
        """A place for the message's turn. Raises `Busy`, but not for a message that is there already: no new load."""
        conversation_id, networks = speaker.conversation_id, speaker.networks
        try:
            return self._admission.reserve(conversation_id, networks)
        except Busy:
            try:
                async with asyncio.timeout(REPEAT_CHECK_S):
                    earlier = await self._log.client_message(conversation_id, client_msg_id)
            except TimeoutError:
                earlier = None
            if earlier is None:
                raise
            return self._admission.take(conversation_id, networks)

    @property
    def admission(self) -> Admission:
        """The places for turns, which answers outside the conversations take from too."""
        return self._admission

    def is_answering(self, conversation_id: ConversationId) -> bool:
        """Whether a message of this conversation is being stored, waits for its turn, or is answered."""
        return self._admission.holds(conversation_id)

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
        waiting = takeover.queue(reason or "asked", place=self.line.next_place(speaker.tenant))
        with suppress(TakenByAnother):  # the person is there already
            new = [NewEvent("assistant", message)]
            await self._log.append(speaker.conversation_id, new, opening=opening, first=waiting)

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
        place = self._admission.reserve(speaker.conversation_id, speaker.networks)
        self._begin(asked, place, replaces=message_id)

    async def end_turns(self, conversation_id: ConversationId) -> None:
        """Stop the conversation's turns, running and waiting, until what they had released is committed."""
        tasks = [task for task, owner in self._tasks.items() if owner == conversation_id]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=COMMIT_S)

    def interrupt(self, conversation_id: ConversationId) -> None:
        """Stop the conversation's running turn, because a person has it now: what it released stays."""
        if turn := self._live.get(conversation_id):
            self.stop(conversation_id, turn.turn_id)

    # -- turns

    def _begin(self, event: Event, place: Place, *, replaces: str | None = None) -> None:
        assert isinstance(event.payload, Message)
        if self._is_closed:  # it came in at the last moment, and is left to the next start too
            place.free()
            return
        name = replaces or event.payload.message_id
        task = asyncio.create_task(self._take_turn(event, MessageId(name), replaces), name=name)
        self._tasks[task] = event.conversation_id
        task.add_done_callback(lambda task: self._forget(task, place))

    def _forget(self, task: asyncio.Task[None], place: Place) -> None:
        place.free()
        conversation_id = self._tasks.pop(task)
        if not self._admission.holds(conversation_id):
            self._turn.pop(conversation_id, None)
        if not task.cancelled() and (error := task.exception()):
            report("turn_lost", error, conversation_id=conversation_id)
        self._bus.wake(conversation_id)

    async def _take_turn(self, event: Event, reply_to: MessageId, replaces: str | None) -> None:
        """One turn, alone in its conversation: show it, answer, commit the answer."""
        async with self._turn[event.conversation_id]:
            head = await self._log.told_head(event.conversation_id)
            if head.mode not in ("bot", "waiting"):
                return  # a person answers
            turn = LiveTurn(event.conversation_id, reply_to, self._bus, self._log)
            self._live[event.conversation_id] = turn
            self._bus.wake(event.conversation_id)
            try:
                await self._answering.answer(head, event, turn, replaces=replaces)
            finally:
                del self._live[event.conversation_id]  # `_forget` wakes the watchers

    # -- what nobody answers

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                self._take_up(await self._orphans.left_by_others())
            except Exception as error:  # a database that is away for a while must not end the looking
                report("sweep_failed", error)

    def _take_up(self, waiting: Sequence[Event]) -> None:
        """Begin the turns of these messages but for those that have one."""
        begun = {task.get_name() for task in self._tasks}
        left = [e for e in waiting if isinstance(e.payload, Message) and e.payload.message_id not in begun]
        for event in left:
            self._begin(event, self._admission.take(event.conversation_id))
        if left:
            log.info("answering_unanswered", messages=len(left))

    async def _language_so_far(self, speaker: Speaker) -> str:
        said = await self._log.recent_messages(speaker.conversation_id, limit=8)
        spoken = [e.payload.language for e in said if e.author == "customer" and isinstance(e.payload, Message)]
        return spoken[-1] if spoken else primary_language(speaker.locale) or self._settings.default_language
