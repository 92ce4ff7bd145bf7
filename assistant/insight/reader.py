"""What the assistant notes of every message before it answers: mood, urgency, entities, intent, concern.

The dialogue's `Reader`. It never answers and never remembers; each note is a pure function of the message.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.insight.concerns import concern_of
from assistant.insight.encoding import EncoderPair
from assistant.insight.entities import EntityFinder
from assistant.insight.intents import IntentHead
from assistant.insight.semantic import ConcernHead
from assistant.insight.sentiment import sentiment_of
from assistant.insight.urgency import urgency_of
from assistant.values import Reading


class MessageReader:
    """Reads messages. Blocking (about 10 ms, most of it the encoders) and thread-safe.

    Without a ``head`` only what is said outright is of concern; without ``intents`` no intent is noted.
    """

    def __init__(
        self,
        head: ConcernHead | None = None,
        *,
        names: Sequence[str] = (),
        intents: IntentHead | None = None,
        intent_floor: float = 0.6,
    ) -> None:
        self._head = head
        self._entities = EntityFinder(names)
        self._intents = intents
        self._intent_floor = intent_floor

    @classmethod
    def fit(
        cls, encoders: EncoderPair, *, names: Sequence[str] = (), intents: IntentHead | None = None
    ) -> MessageReader:
        """A reader with both encoders; fitting takes a second or two. ``names`` are the products customers name."""
        return cls(ConcernHead.fit(encoders), names=names, intents=intents)

    def read(self, text: str, *, language: str) -> Reading:
        """What can be noted of a customer's message."""
        concern, score = concern_of(text, language=language, head=self._head)
        return Reading(
            sentiment=sentiment_of(text),
            urgency=urgency_of(text),
            intent=self._intent(text, language),
            entities=self._entities.find(text),
            concern=concern,
            concern_score=score,
        )

    def _intent(self, text: str, language: str) -> str | None:
        if self._intents is None or not text.strip():
            return None
        guess = self._intents.guess([text], language=language)[0]
        return "+".join(sorted(guess.labels)) or None if guess.scope >= self._intent_floor else None
