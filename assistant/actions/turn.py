"""One action in one turn: its steps are recorded, its questions asked, its calls made and their results told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import get_args

from assistant.actions import replies
from assistant.actions.identity import Identity
from assistant.actions.mismatches import Mismatches
from assistant.actions.open_action import MAX_MISMATCHES, NOT_FOUND, num_mismatches
from assistant.actions.outcome import ActionCaller, Outcome
from assistant.actions.replies import Line
from assistant.actions.results import pick, tell
from assistant.actions.slots import is_too_long, read
from assistant.config import ActionSettings, CallSettings, HandoffSettings, LocalText, SlotSettings
from assistant.conversation.events import Action, ActionStatus
from assistant.dialogue.replies import TALK_TO_A_PERSON, Written, local
from assistant.dialogue.turn import Question, Reply

MAX_OFFERS = 2
MAX_EARLIER = 8
LAST_SAID = 4

Record = Callable[[Action], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ActionTurn:
    """An action, what is known for it, and the message it is at."""

    action: ActionSettings
    question: Question
    language: Written
    handoff: HandoffSettings
    caller: ActionCaller
    mismatches: Mismatches
    record: Record
    key: str
    arguments: Mapping[str, str]

    @property
    def missing(self) -> SlotSettings | None:
        """The next slot to ask for."""
        return next((slot for slot in self.identity.slots if slot.name not in self.arguments), None)

    @property
    def identity(self) -> Identity:
        """Who the action is for."""
        return Identity(self.action, self.question.user_id)

    @property
    def was_read_back(self) -> bool:
        """Whether the last answer showed just what a yes would now do."""
        if self.missing or not self.action.changes:
            return False
        # After an answer to something else it counts only where its reminder showed the same.
        shown = LAST_SAID if list(self.question.past[-1:]) == ["action"] else 1
        return any(
            self._summary(language) in said for language in get_args(Written) for said in self.question.said[-shown:]
        )

    def is_option(self, text: str) -> bool:
        """Whether the text names an option of what is asked: "I changed my mind" may be why something goes back."""
        slot = self.missing
        return slot is not None and slot.kind == "choice" and _typed(slot, text) is not None

    def with_values(self, values: Mapping[str, str]) -> ActionTurn:
        """The same with more, or other, values."""
        return replace(self, arguments={**self.arguments, **values})

    def shared_with(self, other: ActionSettings) -> dict[str, str]:
        """The values that another action has the same slot for."""
        same = {slot.name for slot in self.action.slots if slot in other.slots}
        return {name: value for name, value in self.arguments.items() if name in same}

    async def note(
        self, status: ActionStatus, *, result: dict[str, str] | None = None, error: str | None = None
    ) -> Action:
        """Commit a step."""
        step = Action(self.action.name, status, dict(self.arguments), self.key, result, error)
        await self.record(step)
        return step

    # -- asking

    @property
    def reminder(self) -> str:
        """What is still asked, for the end of an answer to something else."""
        asked = local(self.missing.ask, self.language) if self.missing else self._summary(self.language)
        return replies.line("go_on", self.language, asked=asked)

    def ask(self, lead: str = "") -> Reply:
        """Ask for the missing slot, offering what can be tapped."""
        slot = self.missing
        assert slot is not None
        text = " ".join(part for part in (lead, local(slot.ask, self.language)) if part)
        return self._reply(text, f"asks for {slot.name}", quick_replies=self._offers(slot))

    async def ask_again(self, tries: int) -> Reply:
        """Ask the same once more; the repeated step counts the tries."""
        await self.note("requested")
        if self.missing is None:
            reply = await self.read_back(replies.line("yes_or_no", self.language))
        elif is_too_long(self.missing, self.question.text):
            reply = self.ask(replies.line("too_long", self.language, limit=self.missing.max_chars))
        else:
            reply = self.ask(replies.line("not_understood", self.language))
        return replace(reply, reason=f"{reply.reason} (try {tries})")

    async def read_back(self, lead: str = "") -> Reply:
        """Make sure who the customer is, then show what would be done and ask for a yes."""
        if (outcome := await self._identify()) is not None:
            return await self._end(outcome, was_made=False)
        text = "\n\n".join(part for part in (lead, self._summary(self.language)) if part)
        answers = (replies.YES[self.language], replies.NO[self.language])
        return self._reply(text, "asks for a yes", quick_replies=answers)

    def _summary(self, language: Written) -> str:
        return tell(local(self.action.confirm, language), self.action, self.arguments, language)

    def _offers(self, slot: SlotSettings) -> tuple[str, ...]:
        """The options of a choice, or what the customer wrote earlier in this conversation."""
        if slot.options:
            return tuple(local(option.label, self.language) for option in slot.options)
        if slot.kind not in ("order_number", "email", "phone"):
            return ()
        taken = set(self.arguments.values())
        recent = self.question.earlier[: -MAX_EARLIER - 1 : -1]
        found = (value for text in recent if (value := _typed(slot, text)) and value not in taken)
        return tuple(islice(dict.fromkeys(found), MAX_OFFERS))

    # -- ending

    async def cancel(self) -> Reply:
        """The customer does not want it any more."""
        await self.leave()
        return self._reply(replies.line("cancelled", self.language), "cancelled by the customer")

    async def leave(self) -> None:
        """End it without a word, where it has not ended."""
        if self.question.actions and self.question.actions[-1].status == "requested":
            await self.note("failed", error="cancelled")

    async def refuse_anonymous(self) -> Reply:
        """The action is for signed-in customers, and this one is not, or not any more."""
        await self.note("failed", error="not_signed_in")
        own = self.action.login.ask if self.action.login else {}
        text = local(own, self.language) or replies.line("sign_in", self.language)
        return self._reply(text, "not signed in")

    async def give_up(self, error: str) -> Reply:
        """A person goes on."""
        await self.note("failed", error=error)
        return self._to_person("gave_up", error)

    async def end_unknown(self, code: str) -> Reply:
        """A call was perhaps made, and perhaps not: say so, and let a person look."""
        await self.note("failed", error=f"unknown: {code}")
        return self._to_person("unknown", f"unknown: {code}")

    async def confirm(self) -> Reply:
        """The customer said yes."""
        await self.note("confirmed")
        return await self.perform()

    async def perform(self) -> Reply:
        """Make the call, first making sure who the customer is where that was not done for the read-back.

        Who is signed in is looked at again in any case: perhaps they were not, or were another, at the read-back.
        """
        is_due = self.identity.is_by_login or not self.action.changes
        if is_due and (outcome := await self._identify()) is not None:
            return await self._end(outcome, was_made=False)
        sent = self.identity.sent(self.arguments)
        return await self._end(await self._call(self.action.call, sent, self.key), was_made=True)

    async def _identify(self) -> Outcome | None:
        """What came of the call that identifies, where it did not succeed."""
        if self.action.identify is None:
            return None
        sent = self.identity.identifying(self.arguments)
        key = f"{self.key}-identify-login" if self.identity.is_by_login else f"{self.key}-identify"
        outcome = await self._call(self.action.identify, sent, key)
        return None if outcome.kind == "answered" else outcome

    async def _end(self, outcome: Outcome, *, was_made: bool) -> Reply:
        match outcome.kind:
            case "answered":
                return await self._succeed(outcome)
            case "not_found":
                return await self._mismatch()
            case "unknown" if was_made and self.action.changes:
                return await self.end_unknown(outcome.code)
            case "refused" if was_made:
                return await self._fail("refused", "refused")
        return await self._fail("failure", outcome.code)

    async def _succeed(self, outcome: Outcome) -> Reply:
        if not self.identity.owns(outcome.body, self.arguments):
            return await self._mismatch()
        step = await self.note("succeeded", result=pick(self.action.result, outcome.body))
        told = {**step.arguments, **(step.result or {})}
        text = tell(local(self.action.reply, self.language), self.action, told, self.language)
        return self._reply(text or replies.line("done", self.language), "succeeded")

    async def _mismatch(self) -> Reply:
        """The same words whether the order is unknown or somebody else's."""
        await self.note("failed", error=NOT_FOUND)
        self.mismatches.note(self.identity.claims(self.arguments))
        if num_mismatches(self.question.actions) + 1 >= MAX_MISMATCHES:
            return self._to_person("gave_up", "the details did not fit together too often")
        return self._reply(self._own(self.action.not_found, "not_found"), "the details do not fit together")

    async def _fail(self, line: Line, error: str) -> Reply:
        await self.note("failed", error=error)
        own = self.action.refused if line == "refused" else self.action.failure
        text = replies.with_contact(self._own(own, line), self.language, self.handoff)
        return self._reply(text, f"failed: {error}", quick_replies=(TALK_TO_A_PERSON[self.language],))

    async def _call(self, call: CallSettings, arguments: Mapping[str, str], key: str) -> Outcome:
        return await self.caller.call(call, arguments, idempotency_key=key, name=self.action.name)

    def _own(self, text: LocalText, line: Line) -> str:
        own = tell(local(text, self.language), self.action, self.arguments, self.language)
        return own or replies.line(line, self.language)

    def _to_person(self, line: Line, reason: str) -> Reply:
        text = replies.with_person(replies.line(line, self.language), self.language, self.handoff)
        return Reply(text, self.language, "handoff", f"{self.action.name}: {reason}")

    def _reply(self, text: str, reason: str, *, quick_replies: tuple[str, ...] = ()) -> Reply:
        return Reply(text, self.language, "action", f"{self.action.name}: {reason}", quick_replies=quick_replies)


def _typed(slot: SlotSettings, text: str) -> str | None:
    return read((slot,), text, today=date.min).get(slot.name)
