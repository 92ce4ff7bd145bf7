"""A customer who talks to business actions alone: the log is a list, other rooms answer what is left to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from assistant.actions.flow import Actions
from assistant.actions.outcome import Outcome
from assistant.config import ActionSettings, CallSettings, Settings, load
from assistant.conversation.events import Action, Decision
from assistant.dialogue.turn import Question, Reply
from assistant.language import detect
from tests.conftest import REPOSITORY

EXAMPLES = REPOSITORY / "deploy" / "actions.example.toml"
TODAY = date(2026, 3, 11)  # a Wednesday
KNOWN = {"order_number": "LO10000001", "email": "anna@example.com"}


@dataclass
class ScriptedCaller:
    """A business system that knows one order; ``calls`` has every request it got."""

    outcome: Outcome | None = None
    calls: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    when_called: Callable[[], None] = lambda: None

    async def call(
        self, settings: CallSettings, arguments: Mapping[str, str], *, idempotency_key: str, name: str
    ) -> Outcome:
        path = settings.url.rpartition("/")[2]
        self.calls.append((path, dict(arguments), idempotency_key))
        self.when_called()
        if "email" in arguments and any(arguments[name] != value for name, value in KNOWN.items()):
            return Outcome("not_found", "http_404")
        if path == "identify":
            return Outcome("answered", "http_200", {"known": True})
        return self.outcome or Outcome("answered", "http_200", ANSWERS[path])

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.calls]


ANSWERS: dict[str, dict[str, object]] = {
    "status": {**KNOWN, "status": "shipped", "item": "floor lamp", "expected_on": "2026-03-13", "iban": "DE89 3704"},
    "returns": {"return_number": "RT000001", "send_by": "2026-03-25"},
    "callbacks": {"callback_number": "CB000001", "day": "2026-03-12"},
}


@dataclass
class Customer:
    """Says one thing after another. ``steps`` is what the log holds, ``replies`` what was answered (None: left)."""

    actions: Actions
    tenant: str = "default"
    locale: str = "en"
    steps: list[Action] = field(default_factory=list)
    replies: list[Reply | None] = field(default_factory=list)
    user_id: str | None = None
    earlier: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    past: list[Decision] = field(default_factory=list)

    async def says(self, text: str, *, answered: str = "We are open from 9 to 18.") -> Reply | None:
        """Send a message; what the actions leave is answered with ``answered`` from the knowledge base."""
        self.locale = detect(text, fallback=self.locale)
        reply = await self.actions.take(self.asking(text), self._record)
        self.earlier.append(text)
        self.said += [text, reply.text if reply else answered]
        self.past.append(reply.decision if reply else "verbatim")
        self.replies.append(reply)
        return reply

    async def hears(self, text: str) -> str:
        """The reply's text to a message that the actions must take."""
        reply = await self.says(text)
        assert reply is not None, f"{text!r} was left to others"
        return reply.text

    @property
    def statuses(self) -> list[str]:
        return [step.status for step in self.steps]

    @property
    def last(self) -> Reply:
        reply = self.replies[-1]
        assert reply is not None
        return reply

    def asking(self, text: str) -> Question:
        """The message as the actions are given it."""
        return Question(
            text,
            self.locale,
            earlier=tuple(self.earlier),
            tenant=self.tenant,
            said=tuple(self.said),
            past=tuple(self.past),
            actions=tuple(self.steps),
            user_id=self.user_id,
        )

    async def _record(self, step: Action) -> None:
        self.steps.append(step)


def shipped_settings(folder: Path) -> Settings:
    """The three actions of the demo shop."""
    return load(EXAMPLES).model_copy(update={"data_dir": folder})


def with_actions(settings: Settings, actions: Sequence[ActionSettings]) -> Settings:
    """The settings with other actions."""
    return settings.model_copy(update={"actions": tuple(actions)})


def changed(action: ActionSettings, **changes: object) -> ActionSettings:
    """An action with some settings changed, checked as if they stood in the file."""
    return type(action).model_validate(action.model_dump() | changes)


def new_customer(settings: Settings, caller: ScriptedCaller, *, locale: str = "en") -> Customer:
    """Someone who has said nothing yet."""
    return Customer(Actions(settings, caller, today=lambda: TODAY), locale=locale)


def without_last_reply(customer: Customer) -> Customer:
    """The customer of a server that stopped before it answered: the steps are there, the answer is not."""
    return replace(
        customer, said=customer.said[:-1], past=customer.past[:-1], earlier=customer.earlier[:-1], replies=[]
    )
