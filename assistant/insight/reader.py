"""What the assistant notes of every message before it answers: mood, urgency, entities, concern.

The dialogue's `Reader`. It never answers and never remembers; each note is a pure function of the message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from assistant.insight.concerns import concern_of
from assistant.insight.encoding import EncoderPair
from assistant.insight.entities import EntityFinder
from assistant.insight.semantic import ConcernHead
from assistant.insight.sentiment import sentiment_of
from assistant.insight.urgency import urgency_of
from assistant.language import fold
from assistant.values import Reading

TenantNames = Callable[[str], Sequence[str]]
"""The names that a tenant's knowledge base knows; the main tenant is the empty string."""


class MessageReader:
    """Reads messages. Blocking (about 10 ms, most of it the encoders) and thread-safe.

    Without a ``head`` only what is said outright is of concern. ``names`` gives the things a tenant's customers name,
    as they are now: the same object for as long as they have not changed.
    """

    def __init__(self, head: ConcernHead | None = None, *, names: TenantNames | None = None) -> None:
        self._head = head
        self._names = names or _no_names
        self._finders: dict[str, tuple[Sequence[str], EntityFinder]] = {}

    @classmethod
    def fit(
        cls,
        encoders: EncoderPair,
        *,
        names: TenantNames | None = None,
        kept: Path | None = None,
    ) -> MessageReader:
        """A reader with both encoders.

        Fitting takes a second where the folder ``kept`` has the seeds' vectors from another start, else some seconds.
        """
        return cls(ConcernHead.fit(encoders, kept=kept), names=names)

    def read(self, text: str, *, language: str, tenant: str = "") -> Reading:
        """What can be noted of a customer's message; entities stand where they stand in ``text`` as it was written."""
        text = fold(text)
        concern, score = concern_of(text, language=language, head=self._head)
        return Reading(
            sentiment=sentiment_of(text),
            urgency=urgency_of(text),
            entities=self._finder(tenant).find(text),
            concern=concern,
            concern_score=score,
        )

    def _finder(self, tenant: str) -> EntityFinder:
        """What finds the tenant's names, made anew where an index has brought others."""
        names = self._names(tenant)
        known = self._finders.get(tenant)
        if known is None or known[0] is not names:
            known = self._finders[tenant] = (names, EntityFinder(names))
        return known[1]


def _no_names(tenant: str) -> Sequence[str]:
    return ()
