"""Searches over the knowledge base as it is, and over it with what single cases add; nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.config import RetrievalSettings
from assistant.evaluation.records import FaqRow
from assistant.retrieval.embedding import Encoder, Encoders, Role, System, Vectors
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.index import Progress, build_index
from assistant.retrieval.retriever import FaqRetriever

MAX_REMEMBERED = 100_000


class RememberingEncoder:
    """An encoder that keeps what it encoded, so that the next index embeds only what is new to it."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._vectors: dict[tuple[str, Role], Vectors] = {}

    @property
    def name(self) -> str:
        """The encoder's own."""
        return self._encoder.name

    @property
    def dimension(self) -> int:
        """The encoder's own."""
        return self._encoder.dimension

    @property
    def fingerprint(self) -> str:
        """The encoder's own."""
        return self._encoder.fingerprint

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One L2-normalised float32 row per text."""
        if len(self._vectors) > MAX_REMEMBERED:
            self._vectors.clear()
        new = [text for text in dict.fromkeys(texts) if (text, role) not in self._vectors]
        if new:
            self._vectors |= zip([(text, role) for text in new], self._encoder.encode(new, role), strict=True)
        return np.stack([self._vectors[text, role] for text in texts])


class CaseIndexes:
    """A retriever for each set of entries that cases add, none among them. Blocking."""

    def __init__(
        self,
        knowledge: Knowledge,
        encoders: Encoders,
        settings: RetrievalSettings,
        *,
        progress: Progress | None = None,
    ) -> None:
        kept = {id(encoder): RememberingEncoder(encoder) for encoder in encoders.by_system().values()}
        remembering: dict[System, Encoder] = {
            system: kept[id(encoder)] for system, encoder in encoders.by_system().items()
        }
        self._encoders = Encoders(**remembering)
        self._knowledge = knowledge
        self._settings = settings
        index = build_index(knowledge, self._encoders, progress=progress)
        nothing: tuple[FaqRow, ...] = ()
        self._retrievers = {nothing: FaqRetriever(index, self._encoders, settings)}

    def retriever(self, added: tuple[FaqRow, ...]) -> FaqRetriever:
        """The search over the knowledge base and these entries; an added one replaces an entry of its id."""
        if added not in self._retrievers:
            index = build_index(_with(self._knowledge, added), self._encoders)
            self._retrievers[added] = FaqRetriever(index, self._encoders, self._settings)
        return self._retrievers[added]


def _with(knowledge: Knowledge, added: Sequence[FaqRow]) -> Knowledge:
    taken = {(row.id, row.lang) for row in added}
    kept = [entry for entry in knowledge.entries if (entry.id, entry.lang) not in taken]
    return Knowledge.of((*kept, *map(_entry, added)), ())


def _entry(row: FaqRow) -> Entry:
    return Entry(
        id=row.id,
        lang=row.lang,
        topic="",
        question=row.question,
        wordings=row.wordings,
        answer=row.answer,
        tags=(),
        review=None,
        source="case",
        source_start=0,
        source_end=len(row.answer),
    )
