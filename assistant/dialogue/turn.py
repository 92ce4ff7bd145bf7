"""What a turn is made of: the question, the reply, and what the dialogue needs of other rooms."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from assistant.conversation.events import Action, Citation, Decision, Mode, PromptPassage
from assistant.dialogue.prompt import Exchange
from assistant.values import ChatMessage, FinishReason, Hit, Piece, Reading, Sampling


class Retriever(Protocol):
    """Finds passages. Blocking and thread-safe; no hit is a result, not an error."""

    def search(
        self,
        query: str,
        *,
        language: str,
        tenant: str = "",
        limit: int | None = None,
        stress: str = "",
        context: Sequence[str] = (),
        floor: float | None = None,
    ) -> list[Hit]:
        """The tenant's passages above the floor, best first.

        ``stress`` is the part of the query that counts more; ``context`` is what was said before by anybody,
        oldest first: a thing it names (a product, a branch) narrows the search. ``floor`` takes the place of the
        settings'.
        """


class Generator(Protocol):
    """Writes text. Closing the stream frees its place at the next token."""

    @property
    def languages(self) -> Sequence[str] | None:
        """The languages the model writes (ISO 639-1); None means every one."""

    @property
    def model_name(self) -> str:
        """The base model's name, for the record."""

    @property
    def adapter_name(self) -> str | None:
        """The adapter's name, for the record."""

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """How many tokens these messages are in a prompt."""

    def stream(self, messages: Sequence[ChatMessage], *, sampling: Sampling) -> AsyncGenerator[Piece]:
        """The continuation, piece by piece; raises `GenerationError`."""


class ActionTaker(Protocol):
    """Carries out business actions over several turns."""

    async def take(self, question: Question, record: Callable[[Action], Awaitable[None]]) -> Reply | None:
        """The reply to a message that begins, continues or ends an action; None where it is about none.

        ``record`` commits a step before the next one is taken.
        """

    def reminder(self, question: Question) -> str | None:
        """What an open action still asks, to stand after the answer to another question; None where none is open."""


class Reader(Protocol):
    """Notes mood, urgency, entities and what is unsafe in a message. Blocking and thread-safe."""

    def read(self, text: str, *, language: str, tenant: str = "") -> Reading:
        """What can be noted of a customer's message; ``tenant`` is whose things it may name."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a customer asks, and what came before.

    ``earlier`` are their messages, oldest first, ``said`` everybody's; ``just_told`` the entries that the last
    answer cited; ``past`` the assistant's decisions and ``actions`` the steps of business actions so far, oldest
    first; ``was_unanswered`` that the last answer was that there is none. ``attempt`` counts the wordings already
    given to this same question. ``user_id`` is the customer's id on the site, where the site had vouched for them when
    they asked this; None for everybody else.
    """

    text: str
    language: str
    history: Sequence[Exchange] = ()
    earlier: Sequence[str] = ()
    just_told: Collection[str] = ()
    mode: Mode = "bot"
    tenant: str = ""
    said: Sequence[str] = ()
    past: Sequence[Decision] = ()
    was_unanswered: bool = False
    actions: Sequence[Action] = ()
    reading: Reading = field(default_factory=Reading)
    attempt: int = 0
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with everything that is recorded of it."""

    text: str
    language: str
    decision: Decision
    reason: str
    confidence: float | None = None
    citations: tuple[Citation, ...] = ()
    quick_replies: tuple[str, ...] = ()
    finish_reason: FinishReason = "stop"
    passages: tuple[PromptPassage, ...] = ()
    prompt_id: str | None = None
    reading: Reading | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def topic(self) -> str | None:
        """The topic of the knowledge base that it rests on most: the name of the file; None where it rests on none."""
        return PurePath(self.citations[0].source).stem if self.citations else None

    @property
    def is_unanswered(self) -> bool:
        """Whether it says that there is no answer: what must not be answered has no confidence."""
        return self.decision == "abstained" and self.confidence is not None
