"""Searches over the knowledge base as it is, and over it with what single cases add; nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.config import RetrievalSettings
from assistant.evaluation.records import FaqRow
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import Knowledge
from assistant.retrieval.index import FaqIndex, Progress, build_index
from assistant.retrieval.retriever import FaqRetriever


class CaseIndexes:
    """A retriever for each set of entries that cases add to one tenant's knowledge, none among them. Blocking.

    Vectors that ``previous`` has are taken from it.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        encoders: Encoders,
        settings: RetrievalSettings,
        *,
        tenant: str = "",
        previous: FaqIndex | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._encoders = encoders
        self._knowledge = knowledge
        self._settings = settings
        self._tenant = tenant
        self._index = build_index(knowledge, encoders, previous=previous, progress=progress)
        self._retrievers: dict[tuple[FaqRow, ...], FaqRetriever] = {(): self._retriever(self._index)}

    def retriever(self, added: tuple[FaqRow, ...]) -> FaqRetriever:
        """The search over the knowledge base and these entries; an added one replaces an entry of its id."""
        if added not in self._retrievers:
            index = build_index(self._with(added), self._encoders, previous=self._index)
            self._retrievers[added] = self._retriever(index)
        return self._retrievers[added]

    def _retriever(self, index: FaqIndex) -> FaqRetriever:
        return FaqRetriever(index, self._encoders, self._settings)

    def _with(self, added: Sequence[FaqRow]) -> Knowledge:
        taken = {(row.id, row.lang) for row in added}
        kept = [entry for entry in self._knowledge.entries if (entry.id, entry.lang) not in taken]
        new = (row.entry(tenant=self._tenant) for row in added)
        return Knowledge.of((*kept, *filter(None, new)), ())
