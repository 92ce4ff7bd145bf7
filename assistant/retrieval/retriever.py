"""From a question to the entries that answer it, or to none.

An English question is compared with English entries by the English encoder, any other with the entries
of its own language by the multilingual one. Only if nothing there is above the floor are the entries of
other languages searched, across languages. The best field counts: an entry is as good as its best vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from assistant.config import RetrievalSettings
from assistant.retrieval.calibration import Relation, confidence, is_calibrated
from assistant.retrieval.embedding import ENGLISH, Encoder, Encoders, Vectors
from assistant.retrieval.index import EncoderIdentity, FaqIndex, Match
from assistant.retrieval.sources import Entry
from assistant.values import Hit, Passage

log = structlog.get_logger(__name__)

STRESS_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """An index and where each entry is in it; a search uses one from start to end."""

    index: FaqIndex
    numbers: dict[tuple[str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        numbers = {(entry.id, entry.lang): number for number, entry in enumerate(self.index.entries)}
        object.__setattr__(self, "numbers", numbers)

    def entry(self, entry_id: str, language: str) -> Entry | None:
        """The entry in that language, or its first twin in another one."""
        number = self.numbers.get((entry_id, language))
        if number is not None:
            return self.index.entries[number]
        return next((entry for entry in self.index.entries if entry.id == entry_id), None)


class FaqRetriever:
    """Searches an index. Blocking and thread-safe; `replace_index` may be called while searches run."""

    def __init__(self, index: FaqIndex, encoders: Encoders, settings: RetrievalSettings) -> None:
        self._encoders = encoders
        self._settings = settings
        self._snapshot = _Snapshot(index)
        for encoder, relation in _used(encoders):
            if not is_calibrated(encoder, relation):
                log.warning("encoder.not_calibrated", encoder=encoder, relation=relation)

    def search(
        self,
        query: str,
        *,
        language: str,
        tenant: str = "",
        limit: int | None = None,
        stress: str = "",
        context: Sequence[str] = (),
    ) -> list[Hit]:
        """At most ``limit`` entries for ``query``, by falling confidence, all of them above the floor.

        ``stress`` is the part of the query that is to count more: of "How long can I return an item? for
        shoes?" the shoes. In 17 follow-ups of the demo FAQ it lifted the first hit from 15 to 17 right.

        ``language`` is the query's ISO 639-1 code. Of twins only one is returned, in the query's
        language where there is one. An empty query finds nothing.
        """
        text = query.strip()
        limit = self._settings.limit if limit is None else limit
        if not text or limit < 1:
            return []
        snapshot = self._snapshot
        texts = [text, stress.strip()] if stress.strip() else [text]
        return self._within(snapshot, texts, language, limit) or self._across(snapshot, texts, language, limit)

    def entry(self, entry_id: str, language: str) -> Passage | None:
        """The entry of this id in ``language``, else in another language, else None."""
        entry = self._snapshot.entry(entry_id, language)
        return _passage(entry) if entry else None

    def replace_index(self, index: FaqIndex) -> None:
        """Search ``index`` from now on; searches that run finish on the old one.

        Raises `ValueError` if ``index`` was made with other encoders.
        """
        ours = EncoderIdentity.of(self._encoders.english), EncoderIdentity.of(self._encoders.multilingual)
        if (index.english_encoder, index.multilingual_encoder) != ours:
            raise ValueError(f"the index was made with {index.english_encoder} and {index.multilingual_encoder}")
        self._snapshot = _Snapshot(index)

    def _within(self, snapshot: _Snapshot, texts: list[str], language: str, limit: int) -> list[Hit]:
        """Entries in the query's own language."""
        index = snapshot.index
        encoder = self._encoders.for_language(language)
        table = index.english if language == ENGLISH else index.multilingual
        matches = table.search(_vector(encoder, texts), language, other=False, limit=limit)
        return self._hits(snapshot, matches, encoder.name, "same", language, limit)

    def _across(self, snapshot: _Snapshot, texts: list[str], language: str, limit: int) -> list[Hit]:
        """Entries in other languages."""
        encoder = self._encoders.multilingual
        matches = snapshot.index.multilingual.search(_vector(encoder, texts), language, other=True, limit=2 * limit)
        return self._hits(snapshot, matches, encoder.name, "cross", language, limit)

    def _hits(
        self,
        snapshot: _Snapshot,
        matches: Iterable[Match],
        encoder: str,
        relation: Relation,
        language: str,
        limit: int,
    ) -> list[Hit]:
        best: dict[str, tuple[float, Match]] = {}
        for match in matches:
            probability = confidence(encoder, relation, match.cosine)
            entry_id = snapshot.index.entries[match.entry].id
            if probability >= self._settings.floor and probability > best.get(entry_id, (0.0, match))[0]:
                best[entry_id] = (probability, match)
        ranked = sorted(best.values(), key=lambda pair: pair[0], reverse=True)
        return [_hit(snapshot, match, probability, language) for probability, match in ranked[:limit]]


def _used(encoders: Encoders) -> tuple[tuple[str, Relation], ...]:
    return (
        (encoders.english.name, "same"),
        (encoders.multilingual.name, "same"),
        (encoders.multilingual.name, "cross"),
    )


def _vector(encoder: Encoder, texts: list[str]) -> Vectors:
    """One unit vector of shape (1, dimension): the whole query, and its stressed part with half the weight."""
    vectors = encoder.encode(texts)
    summed: Vectors = vectors[:1] + STRESS_WEIGHT * vectors[1:].sum(axis=0, keepdims=True)
    return summed / np.linalg.norm(summed)


def _hit(snapshot: _Snapshot, match: Match, probability: float, language: str) -> Hit:
    found = snapshot.index.entries[match.entry]
    number = snapshot.numbers.get((found.id, language), match.entry)
    return Hit(_passage(snapshot.index.entries[number]), match.cosine, probability, match.field)


def _passage(entry: Entry) -> Passage:
    return Passage(
        entry_id=entry.id,
        title=entry.question,
        text=entry.answer,
        lang=entry.lang,
        source=entry.source,
        source_start=entry.source_start,
        source_end=entry.source_end,
        tags=entry.tags,
        kind=entry.kind,
    )
