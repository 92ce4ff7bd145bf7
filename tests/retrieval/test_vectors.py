"""Vectors of any number: which index holds them, and that a search keeps to the rows it may see."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from assistant.retrieval import vectors
from assistant.retrieval.embedding import Vectors

pytestmark = pytest.mark.unit

ROWS, DIMENSION = 20_000, 16


@pytest.fixture(scope="module")
def rows() -> Vectors:
    drawn = np.random.default_rng(0).standard_normal((ROWS, DIMENSION), dtype=np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def lists(rows: Vectors) -> faiss.Index:
    """What the product makes of more vectors than it compares one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "EXACT_ROWS", ROWS - 1)
        return vectors.make_vectors(rows)


@pytest.fixture(autouse=True)
def read_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "SCANNED_ROWS", ROWS // 10)


def found(index: faiss.Index, query: Vectors, start: int, end: int) -> list[int]:
    selector = faiss.IDSelectorRange(start, end)
    parameters = vectors.search_parameters(index, selector, end - start)
    _, ids = index.search(query[None], 10, params=parameters)
    return [int(row) for row in ids[0]]


def nearest(rows: Vectors, query: Vectors, start: int, end: int) -> list[int]:
    return [start + int(row) for row in np.argsort(-(rows[start:end] @ query), kind="stable")[:10]]


def test_few_vectors_are_all_compared(rows: Vectors) -> None:
    index = vectors.make_vectors(rows)
    assert isinstance(index, faiss.IndexFlat)
    assert found(index, rows[7], 0, ROWS) == nearest(rows, rows[7], 0, ROWS)


def test_many_vectors_are_found_without_comparing_all(rows: Vectors, lists: faiss.Index) -> None:
    assert isinstance(lists, faiss.IndexIVF)
    assert vectors.search_parameters(lists, faiss.IDSelectorAll(), ROWS).nprobe < lists.nlist / 9
    right = [set(found(lists, query, 0, ROWS)) & set(nearest(rows, query, 0, ROWS)) for query in rows[:50]]
    assert sum(map(len, right)) >= 0.8 * 10 * len(right)


def test_a_small_tenant_is_searched_as_well_as_a_large_one(rows: Vectors, lists: faiss.Index) -> None:
    start, end = 4000, 4000 + ROWS // 50
    for query in rows[:50]:
        right = set(found(lists, query, start, end)) & set(nearest(rows, query, start, end))
        assert len(right) >= 9  # 16 bits may swap two that are equally near


def test_a_search_finds_no_row_outside_its_own(rows: Vectors, lists: faiss.Index) -> None:
    for index in (lists, vectors.make_vectors(rows)):
        for query in rows[:50]:  # its own vector lies outside
            assert all(100 <= row < 5000 for row in found(index, query, 100, 5000))


def test_a_vector_read_back_and_stored_again_stays_the_same(
    lists: faiss.Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "EXACT_ROWS", ROWS - 1)
    kept = faiss.deserialize_index(faiss.serialize_index(lists))
    kept.make_direct_map()
    read = kept.reconstruct_n(0, ROWS)
    again = vectors.make_vectors(read)
    again.make_direct_map()
    np.testing.assert_array_equal(again.reconstruct_n(0, ROWS), read)
