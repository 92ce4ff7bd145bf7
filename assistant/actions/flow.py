"""Business actions in a conversation: from the wish over slots, identity and a yes to the call and its result.

All state is in the log's `Action` steps. Bounds: `MAX_TRIES` for each thing asked and `MAX_MISMATCHES` wrong details
in a conversation, `mismatches.py` in all of them, then a person; five slots (`config.ActionSettings`); each call its
own time-out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

from assistant.actions.checks import check_actions
from assistant.actions.consent import asks, cancels, is_no, is_yes
from assistant.actions.mismatches import Mismatches
from assistant.actions.open_action import MAX_MISMATCHES, OpenAction, num_mismatches, open_action
from assistant.actions.outcome import ActionCaller
from assistant.actions.slots import read
from assistant.actions.turn import ActionTurn, Record
from assistant.actions.wishes import Wish, Wishes, has_words
from assistant.config import ActionSettings, Settings
from assistant.conversation.events import Action, new_id
from assistant.dialogue.handoff import wants_person
from assistant.dialogue.replies import written
from assistant.dialogue.smalltalk import is_small_talk
from assistant.dialogue.turn import Question, Reply
from assistant.language import detect

MAX_TRIES = 3


def this_day() -> date:
    """Today, where the server is."""
    return datetime.now().astimezone().date()


class Actions:
    """Takes the messages that begin, continue or end a business action.

    Raises `ConfigError` where the declared actions do not fit together.
    """

    def __init__(
        self,
        settings: Settings,
        caller: ActionCaller,
        *,
        today: Callable[[], date] = this_day,
        mismatches: Mismatches | None = None,
    ) -> None:
        check_actions(settings.actions)
        self._settings = settings
        self._caller = caller
        self._declared = {action.name: action for action in settings.actions}
        self._mismatches = mismatches or Mismatches()
        self._wishes = Wishes(settings.actions)
        self._today = today

    async def take(self, question: Question, record: Record) -> Reply | None:
        """The reply to a message that begins, continues or ends a business action; None where it is about none.

        ``record`` commits a step to the log before anything follows from it; what it raises is passed on, and no
        call is made then. Cancelling leaves the steps as they are: the next message finds them.
        """
        if not self._declared or wants_person(question.text):
            return None
        resumed = self._resume(question, record)
        if resumed is None:
            return await self._begin(question, record)
        turn, standing = resumed
        if reply := await self._go_on(turn, standing):
            return reply
        return await self._begin(question, record, instead_of=turn if standing.waits == "asking" else None)

    def reminder(self, question: Question) -> str | None:
        """What the open action still asks, to stand after the answer to another question; None where none is open."""
        resumed = self._resume(question, _keep_nothing)
        return resumed[0].reminder if resumed and resumed[1].waits == "asking" else None

    def _resume(self, question: Question, record: Record) -> tuple[ActionTurn, OpenAction] | None:
        """The open action, where there is one and it is still declared for this customer."""
        standing = open_action(question.actions, question.past)
        action = self._declared.get(standing.step.name) if standing else None
        if standing is None or action is None or (action.tenants and self._tenant(question) not in action.tenants):
            return None
        turn = self._turn(action, question, record, standing.step.idempotency_key, standing.step.arguments)
        return turn, standing

    # -- an open action

    async def _go_on(self, turn: ActionTurn, standing: OpenAction) -> Reply | None:
        text = turn.question.text
        if standing.waits == "unfinished":
            is_known = turn.missing is None and not turn.identity.needs_login
            return await (turn.perform() if is_known and is_yes(text) else turn.end_unknown("interrupted"))
        if turn.identity.needs_login and standing.waits == "asking":
            return await turn.refuse_anonymous()
        if standing.waits == "mismatched":
            return await self._correct(turn)
        if (cancels(text) and not turn.is_option(text)) or (turn.was_read_back and is_no(text)):
            return await turn.cancel()
        if turn.was_read_back and is_yes(text):
            return await turn.confirm()
        return await self._fill(turn, standing.tries)

    async def _fill(self, turn: ActionTurn, tries: int) -> Reply | None:
        """Take what the message tells; what is a question itself, or another wish, is left to others."""
        text = turn.question.text
        elsewhere = asks(text) or (is_small_talk(text) and not turn.was_read_back)
        asked = turn.missing.name if turn.missing and not elsewhere else ""
        wish = self._wish(turn.question)
        if wish and wish.action.name != turn.action.name:
            return None
        if values := self._values(turn.action, turn.question, asked):
            return await self._advance(turn.with_values(values))
        if wish:
            return await self._advance(turn)
        if elsewhere:
            return None
        if not turn.missing and not turn.action.changes:
            return await self._advance(turn)  # it was stopped before its call
        if tries >= MAX_TRIES:
            return await turn.give_up("no_answer")
        return await turn.ask_again(tries + 1)

    async def _correct(self, turn: ActionTurn) -> Reply | None:
        """Better values after a mismatch make a new call with a key of its own."""
        values = self._values(turn.action, turn.question, "")
        if not values:
            return None
        return await self._advance(replace(turn.with_values(values), key=new_id("a")))

    # -- a new one

    async def _begin(self, question: Question, record: Record, *, instead_of: ActionTurn | None = None) -> Reply | None:
        wish = self._wish(question)
        if wish is None:
            return None
        turn = self._turn(wish.action, question, record, new_id("a"), {})
        if instead_of:
            await instead_of.leave()
            turn = turn.with_values(instead_of.shared_with(wish.action))
        reply = await self._advance(turn.with_values(self._values(wish.action, question, "")))
        return replace(reply, confidence=min(1.0, wish.score))

    async def _advance(self, turn: ActionTurn) -> Reply:
        """Record what is known, then ask for what is missing, read back, or call."""
        if turn.identity.needs_login:
            return await turn.refuse_anonymous()
        await turn.note("requested")
        if turn.missing:
            return turn.ask()
        with self._mismatches.trying(turn.identity.claims(turn.arguments)) as may:
            is_guessing = not may or num_mismatches(turn.question.actions) >= MAX_MISMATCHES
            if turn.action.personal and is_guessing:
                return await turn.give_up("too_many_mismatches")
            return await (turn.read_back() if turn.action.changes else turn.perform())

    def _wish(self, question: Question) -> Wish | None:
        return self._wishes.find(question.text, tenant=self._tenant(question))

    def _tenant(self, question: Question) -> str:
        return question.tenant or self._settings.tenant

    def _values(self, action: ActionSettings, question: Question, asked: str) -> dict[str, str]:
        entities = question.reading.entities
        return read(action.slots, question.text, today=self._today(), asked=asked, entities=entities)

    def _turn(
        self, action: ActionSettings, question: Question, record: Record, key: str, arguments: dict[str, str]
    ) -> ActionTurn:
        language = written(_spoken(question), self._settings.default_language)
        handoff = self._settings.handoff_of(question.tenant)
        return ActionTurn(action, question, language, handoff, self._caller, self._mismatches, record, key, arguments)


async def _keep_nothing(step: Action) -> None:
    """A reminder is no step."""


def _spoken(question: Question) -> str:
    """The language of the last message in words: an e-mail address alone is in none."""
    if has_words(question.text):
        return question.language
    said = next((text for text in reversed(question.earlier) if has_words(text)), "")
    return detect(said, fallback=question.language)
