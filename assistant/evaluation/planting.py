"""An instruction planted in what the search finds, as if a document that somebody else wrote contained it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from assistant.dialogue.turn import Retriever
from assistant.values import Hit


@dataclass(slots=True)
class Planted:
    """The instruction of one turn, and the passages' own texts as they were found."""

    instruction: str
    texts: list[str] = field(default_factory=list)


class PlantingRetriever:
    """A retriever that adds what is planted to its best passage, and gives that passage out as a document's.

    A curated answer is the company's own text and sent as written; what others wrote comes in with documents.
    Searches of other turns at the same time find nothing planted.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._planted: ContextVar[Planted | None] = ContextVar("planted", default=None)

    @contextmanager
    def planted(self, instruction: str) -> Iterator[Planted]:
        """Plant an instruction for the searches of this task."""
        planted = Planted(instruction)
        token = self._planted.set(planted)
        try:
            yield planted
        finally:
            self._planted.reset(token)

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
        """What the real retriever finds, with the instruction at the end of the best passage."""
        hits = self._retriever.search(
            query, language=language, tenant=tenant, limit=limit, stress=stress, context=context, floor=floor
        )
        planted = self._planted.get()
        if planted is None or not hits:
            return hits
        planted.texts.extend(f"{hit.passage.title}\n{hit.passage.text}" for hit in hits)
        best = hits[0].passage
        text = f"{best.text}\n\n{planted.instruction}"
        poisoned = replace(best, text=text, source_end=best.source_start + len(text), kind="document")
        return [replace(hits[0], passage=poisoned), *hits[1:]]
