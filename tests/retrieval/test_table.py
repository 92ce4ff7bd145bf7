"""Rows of vectors, and what a search among them returns."""

from __future__ import annotations

import numpy as np
import pytest

import assistant.retrieval.vectors as vectors_module
from assistant.retrieval.parts import Part
from assistant.retrieval.table import VectorTable

pytestmark = pytest.mark.unit

PARTS = [
    [Part("answer", "whole")],
    [Part("answer", "whole"), Part("question", "q"), Part("wording", "w")],
    [],
    [Part("answer", "whole"), Part("question", "q")],
]
VECTORS = np.array(
    [[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0.8, 0.6, 0], [0, 0, 1], [0, 0.6, 0.8]],
    dtype=np.float32,
)
X = np.array([1, 0, 0], dtype=np.float32)


@pytest.fixture
def table() -> VectorTable:
    return VectorTable.of(PARTS, VECTORS)


@pytest.mark.parametrize("entries", [[0, 1], [0, 3], [1], [0, 1, 3]])
def test_an_entry_is_as_near_as_its_best_part_and_as_its_whole(table: VectorTable, entries: list[int]) -> None:
    best, wholes = table.cosines(X, np.array(entries))
    assert best.tolist() == pytest.approx([{0: 1.0, 1: 0.8, 3: 0.0}[entry] for entry in entries])
    assert wholes.tolist() == pytest.approx([{0: 1.0, 1: 0.0, 3: 0.0}[entry] for entry in entries])


def test_no_entry_has_no_cosine(table: VectorTable) -> None:
    best, wholes = table.cosines(X, np.array([], dtype=np.int64))
    assert len(best) == len(wholes) == 0


def test_the_best_field_is_that_of_a_part_before_the_whole(table: VectorTable) -> None:
    assert table.best_field(X, 1) == ("wording", pytest.approx(0.8))
    assert table.best_field(X, 0) == ("answer", pytest.approx(1.0))


def test_the_nearest_rows_name_their_entries_within_the_run_only(table: VectorTable) -> None:
    assert table.nearest(X, 0, 4, num_rows=2).tolist() == [0, 1]
    assert table.nearest(X, 1, 4, num_rows=2).tolist() == [1]
    assert table.nearest(X, 1, 4, num_rows=99).tolist() == [1, 3]
    assert table.nearest(X, 2, 3, num_rows=5).tolist() == []


def test_saved_and_read_it_is_the_same(table: VectorTable) -> None:
    loaded = VectorTable.from_bytes(PARTS, table.to_bytes())
    assert loaded.rows(np.arange(6)).tolist() == VECTORS.tolist()
    assert loaded.best_field(X, 1) == table.best_field(X, 1)


def test_other_parts_than_vectors_are_refused(table: VectorTable) -> None:
    with pytest.raises(ValueError, match="6 vectors for 1 texts"):
        VectorTable.from_bytes(PARTS[:1], table.to_bytes())


def test_a_large_table_that_is_not_flat_gives_its_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "EXACT_ROWS", 100)
    drawn = np.random.default_rng(0).standard_normal((6_000, 16), dtype=np.float32)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    table = VectorTable.of([[Part("answer", "whole")]] * len(vectors), vectors)
    entries = np.array([5, 17, 4_000])
    best, _ = table.cosines(vectors[17], entries)
    assert best == pytest.approx(vectors[entries] @ vectors[17], abs=2e-3)
    assert 17 in table.nearest(vectors[17], 0, len(vectors), num_rows=5)
    assert table.nearest(vectors[17], 18, len(vectors), num_rows=5).min() >= 18
