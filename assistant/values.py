"""The plain values that rooms hand each other: messages, passages, hits, pieces of text.

They hold no behaviour, so `retrieval`, `generation` and `dialogue` can share them without
knowing each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "interrupted", "error"]
Field = Literal["question", "wording", "answer"]
PassageKind = Literal["faq", "document"]
"""An ``faq`` passage is a curated answer, sent as written; a ``document`` passage is a section to quote from."""
Sentiment = Literal["negative", "neutral", "positive"]
Urgency = Literal["low", "normal", "high"]
Concern = Literal["abuse", "harm", "self_harm", "injection", "sensitive"]
"""What a message must not be answered like any other for: an insult, a request for something harmful, a person
in danger, instructions to the assistant itself, a matter for people (legal threats, accidents, press)."""


class ChatMessage(TypedDict):
    """One message of a prompt, in the shape every chat model's template expects."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an FAQ entry, as it stands in its source file.

    ``text`` is ``source[source_start:source_end]``, offsets in code points.
    """

    entry_id: str
    title: str
    text: str
    lang: str
    source: str
    source_start: int
    source_end: int
    tags: tuple[str, ...] = ()
    kind: PassageKind = "faq"


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a query found.

    ``score`` is the cosine of the best field, comparable within one encoder only; ``confidence`` is
    the estimated probability (0 to 1) that the passage answers the query, comparable everywhere.
    """

    passage: Passage
    score: float
    confidence: float
    field: Field


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 0
    repetition_penalty: float = 1.05
    max_new_tokens: int = 160
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some newly generated text. The last piece of a stream has a ``finish_reason``.

    ``num_tokens`` counts the new tokens so far, ``elapsed_ms`` runs from the request's admission.
    """

    text: str
    num_tokens: int
    elapsed_ms: float
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """Something named in a text: ``text[start:end]``, offsets in code points.

    ``kind`` is such as ``order_number``, ``email``, ``phone``, ``money``, ``date``, ``product``; ``value`` is its
    normal form.
    """

    kind: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What is noted of a customer's message. ``concern_score`` is 0 to 1.

    ``intent`` is the topic of the knowledge base that its answer rests on; all else is noted before it is answered.
    """

    sentiment: Sentiment = "neutral"
    urgency: Urgency = "normal"
    intent: str | None = None
    entities: tuple[Entity, ...] = ()
    concern: Concern | None = None
    concern_score: float = 0.0
