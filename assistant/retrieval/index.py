"""The vectors of all entries, searchable.

Every entry has one vector for its question, one for each other wording and one for its answer.
English entries are embedded by the English encoder for English queries; all entries, the English ones
too, by the multilingual encoder for every other query. An index never changes: a new one replaces it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

import faiss
import numpy as np

from assistant.retrieval.embedding import BATCH_TEXTS, ENGLISH, Encoder, Encoders, Vectors
from assistant.retrieval.sources import Entry, Knowledge
from assistant.values import Field

Progress = Callable[[int, int], None]
"""Called with the number of texts done and of all texts."""

FIRST_VECTORS = 64


@dataclass(frozen=True, slots=True)
class Row:
    """What one vector stands for: a field of ``entries[entry]``."""

    entry: int
    field: Field
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """A vector that a query found; ``cosine`` is -1 to 1."""

    entry: int
    field: Field
    cosine: float


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which encoder made the vectors."""

    name: str
    dimension: int
    fingerprint: str

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderIdentity:
        """The identity to record for ``encoder``."""
        return cls(encoder.name, encoder.dimension, encoder.fingerprint)


class VectorTable:
    """One encoder's vectors in one FAISS index, ordered by language; searching is thread-safe."""

    def __init__(self, rows: Sequence[Row], languages: Sequence[str], index: faiss.Index) -> None:
        self._rows = rows
        self._index = index
        self._spans = _spans(languages)

    @classmethod
    def of(cls, rows: Sequence[Row], languages: Sequence[str], vectors: Vectors) -> VectorTable:
        """A table of ``vectors`` with shape (rows, dimension); ``languages`` has one code per row, in runs."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return cls(rows, languages, index)

    @classmethod
    def from_bytes(cls, rows: Sequence[Row], languages: Sequence[str], data: bytes) -> VectorTable:
        """What `to_bytes` gave, for the same rows."""
        return cls(rows, languages, faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8)))

    def to_bytes(self) -> bytes:
        """FAISS's own format."""
        return bytes(faiss.serialize_index(self._index).tobytes())

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return int(self._index.d)

    def search(self, vector: Vectors, language: str, *, other: bool, limit: int) -> list[Match]:
        """The best vectors of entries in ``language`` (or in any ``other`` one), best first.

        ``vector`` has shape (1, dimension). Enough come back for ``limit`` different entries, where
        there are so many.
        """
        start, end = self._spans.get(language, (0, 0))
        available = len(self) - (end - start) if other else end - start
        selector: faiss.IDSelector = faiss.IDSelectorRange(start, end)
        if other:
            selector = faiss.IDSelectorNot(selector)
        num_vectors = min(FIRST_VECTORS, available)
        while num_vectors:
            matches = self._nearest(vector, num_vectors, selector)
            if len({match.entry for match in matches}) >= limit or num_vectors == available:
                return matches
            num_vectors = min(4 * num_vectors, available)
        return []

    def _nearest(self, vector: Vectors, num_vectors: int, selector: faiss.IDSelector) -> list[Match]:
        parameters = faiss.SearchParameters()
        parameters.sel = selector
        cosines, ids = self._index.search(vector, num_vectors, params=parameters)
        found = zip(cosines[0].tolist(), ids[0].tolist(), strict=True)
        return [Match(self._rows[row].entry, self._rows[row].field, cosine) for cosine, row in found if row >= 0]


@dataclass(frozen=True, slots=True)
class FaqIndex:
    """An immutable snapshot: entries (ordered by language) and their vectors by both encoders."""

    entries: tuple[Entry, ...]
    content_hash: str
    created: datetime
    english: VectorTable
    multilingual: VectorTable
    english_encoder: EncoderIdentity
    multilingual_encoder: EncoderIdentity

    def is_current(self, content_hash: str) -> bool:
        """Whether it was built from knowledge with this ``Knowledge.content_hash``."""
        return self.content_hash == content_hash


def build_index(knowledge: Knowledge, encoders: Encoders, *, progress: Progress | None = None) -> FaqIndex:
    """Embed every entry; about 20 ms per text on two cores. Blocking."""
    entries = tuple(sorted(knowledge.entries, key=lambda entry: entry.lang))
    english, multilingual = english_rows(entries), multilingual_rows(entries)
    num_texts = len(english) + len(multilingual)
    report = progress or (lambda done, total: None)
    english_vectors = _encode(encoders.english, english, lambda done: report(done, num_texts))
    vectors = _encode(encoders.multilingual, multilingual, lambda done: report(len(english) + done, num_texts))
    return FaqIndex(
        entries=entries,
        content_hash=knowledge.content_hash,
        created=datetime.now(UTC),
        english=VectorTable.of(english, row_languages(entries, english), english_vectors),
        multilingual=VectorTable.of(multilingual, row_languages(entries, multilingual), vectors),
        english_encoder=EncoderIdentity.of(encoders.english),
        multilingual_encoder=EncoderIdentity.of(encoders.multilingual),
    )


def english_rows(entries: Sequence[Entry]) -> list[Row]:
    """What the English encoder embeds, in order."""
    return [row for row in multilingual_rows(entries) if entries[row.entry].lang == ENGLISH]


def multilingual_rows(entries: Sequence[Entry]) -> list[Row]:
    """What the multilingual encoder embeds, in order: every entry, so that any language finds it."""
    return [row for number, entry in enumerate(entries) for row in _rows(number, entry)]


def row_languages(entries: Sequence[Entry], rows: Sequence[Row]) -> list[str]:
    """The language of each row's entry."""
    return [entries[row.entry].lang for row in rows]


def _rows(number: int, entry: Entry) -> Iterator[Row]:
    yield Row(number, "question", entry.question)
    for wording in entry.wordings:
        yield Row(number, "wording", wording)
    yield Row(number, "answer", entry.answer)


def _encode(encoder: Encoder, rows: Sequence[Row], report: Callable[[int], None]) -> Vectors:
    vectors = np.empty((len(rows), encoder.dimension), dtype=np.float32)
    for start in range(0, len(rows), BATCH_TEXTS):
        batch = rows[start : start + BATCH_TEXTS]
        vectors[start : start + len(batch)] = encoder.encode([row.text for row in batch])
        report(start + len(batch))
        time.sleep(0.001)  # the encoder's lock is not fair: let a waiting customer's query go first
    return vectors


def _spans(languages: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Where each language's run of rows starts and ends."""
    spans: dict[str, tuple[int, int]] = {}
    start = 0
    for language, run in groupby(languages):
        end = start + sum(1 for _ in run)
        assert language not in spans, "rows must be ordered by language"
        spans[language] = (start, end)
        start = end
    return spans
