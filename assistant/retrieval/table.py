"""One encoder's vectors of all entries in one FAISS index.

An entry's rows stand together, the whole entry first, then its parts. Nothing here is a Python object per row, so a
million entries are their vectors and a few bytes more.
"""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt

from assistant.retrieval.embedding import Vectors
from assistant.retrieval.fusion import Floats
from assistant.retrieval.parts import Part
from assistant.retrieval.vectors import make_vectors, search_parameters
from assistant.values import Field

Numbers = npt.NDArray[np.int64]
"""Numbers of entries or rows, ascending."""

FIELDS: tuple[Field, ...] = ("question", "wording", "answer")
_NO_PART = -2.0  # below every cosine


class VectorTable:
    """Rows of unit vectors, several for an entry; searching is thread-safe."""

    def __init__(self, parts: Sequence[Sequence[Part]], index: faiss.Index) -> None:
        """``parts`` has what each entry's rows of ``index`` stand for; an entry may have none.

        Raises `ValueError` if there are more or fewer of them than rows.
        """
        lengths = np.fromiter((len(entry) for entry in parts), dtype=np.int64, count=len(parts))
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._fields = np.array([FIELDS.index(part.field) for entry in parts for part in entry], dtype=np.uint8)
        self._index = index
        self._flat = _view(index)
        self._mean_vectors: Vectors | None = None
        if len(self) != len(self._fields):
            raise ValueError(f"{len(self)} vectors for {len(self._fields)} texts")

    @classmethod
    def of(cls, parts: Sequence[Sequence[Part]], vectors: Vectors) -> VectorTable:
        """A table of ``vectors``, shape (rows, dimension), one row for each part in order."""
        return cls(parts, make_vectors(vectors))

    @classmethod
    def from_bytes(cls, parts: Sequence[Sequence[Part]], data: bytes) -> VectorTable:
        """What `to_bytes` gave, for the same parts."""
        return cls(parts, faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8)))

    def to_bytes(self) -> bytes:
        """FAISS's own format."""
        return bytes(faiss.serialize_index(self._index).tobytes())

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return int(self._index.d)

    def rows(self, rows: Numbers) -> Vectors:
        """These rows' vectors, shape (rows, dimension)."""
        if self._flat is not None:
            chosen: Vectors = self._flat[rows]
            return chosen
        kept: Vectors = self._index.reconstruct_batch(rows)
        return kept

    def nearest(self, vector: Vectors, start: int, end: int, *, num_rows: int) -> Numbers:
        """The entries from ``start`` to before ``end`` that have one of the nearest rows. Shape (dimension,)."""
        first, last = int(self._starts[start]), int(self._starts[end])
        num_rows = min(num_rows, last - first)
        if num_rows < 1:
            return np.empty(0, dtype=np.int64)
        selector = faiss.IDSelectorRange(first, last)
        parameters = search_parameters(self._index, selector, last - first)
        _, rows = self._index.search(vector[None], num_rows, params=parameters)
        found = np.searchsorted(self._starts, rows[0][rows[0] >= 0], side="right") - 1
        return np.unique(found)

    def cosines(self, vector: Vectors, entries: Numbers, *, by_mean: bool = False) -> tuple[Floats, Floats]:
        """For each entry its best part's cosine and the whole entry's; each must have rows. Shapes (entries,).

        ``by_mean`` takes the mean of the entry's parts for the whole (Snell et al. 2017, prototypical networks).
        """
        if not len(entries):
            return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32)
        lengths = self._starts[entries + 1] - self._starts[entries]
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        rows = self._rows_of(entries, lengths, offsets)
        cosines = rows @ vector
        wholes: Floats = self._means(entries, rows, offsets) @ vector if by_mean else cosines[offsets]
        cosines[offsets[lengths > 1]] = _NO_PART
        best: Floats = np.maximum.reduceat(cosines, offsets)
        return best, wholes

    def _means(self, entries: Numbers, rows: Vectors, offsets: Numbers) -> Vectors:
        """The direction of each entry's rows together; computed once for all where the vectors lie in memory."""
        if self._flat is None:
            return _directions(rows, offsets)
        if self._mean_vectors is None:
            filled = self._starts[:-1] < self._starts[1:]
            means = np.zeros((len(filled), self.dimension), dtype=np.float32)
            means[filled] = _directions(self._flat, self._starts[:-1][filled])
            self._mean_vectors = means  # last: other threads read it
        chosen: Vectors = self._mean_vectors[entries]
        return chosen

    def best_field(self, vector: Vectors, entry: int) -> tuple[Field, float]:
        """Which field of an entry is nearest, and its cosine; a part goes before the whole."""
        first, last = int(self._starts[entry]), int(self._starts[entry + 1])
        cosines = self.rows(np.arange(first, last)) @ vector
        row = 1 + int(cosines[1:].argmax()) if last - first > 1 else 0
        return FIELDS[self._fields[first + row]], float(cosines[row])

    def _rows_of(self, entries: Numbers, lengths: Numbers, offsets: Numbers) -> Vectors:
        first, last = int(entries[0]), int(entries[-1])
        if self._flat is not None and last - first + 1 == len(entries):  # a run: no copy
            return self._flat[self._starts[first] : self._starts[last + 1]]
        return self.rows(np.arange(int(lengths.sum())) + np.repeat(self._starts[entries] - offsets, lengths))


def _directions(rows: Vectors, offsets: Numbers) -> Vectors:
    """The mean of each run of rows, of length 1."""
    sums = np.add.reduceat(rows, offsets, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    directions: Vectors = (sums / np.maximum(lengths, 1e-9)).astype(np.float32)
    return directions


def _view(index: faiss.Index) -> Vectors | None:
    """The vectors of a flat index as they lie in memory; None for another kind, which is made to find them by row."""
    if isinstance(index, faiss.IndexFlat):
        if not index.ntotal:
            return np.empty((0, index.d), dtype=np.float32)
        flat: Vectors = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
        return flat.reshape(index.ntotal, index.d)
    if isinstance(index, faiss.IndexIVF):
        index.make_direct_map()
    return None
