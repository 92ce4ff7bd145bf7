"""Which FAISS index holds how many vectors, and how it is searched within one tenant's or language's rows.

Up to `EXACT_ROWS` every vector is compared (flat). Above, vectors are stored in 16 bits in about 2 √n lists
around k-means centres, and only the nearest lists are read (inverted file; Jégou, Douze, Schmid 2011, "Product
Quantization for Nearest Neighbor Search", section IV). How many lists follows from how many rows the query may
see: a small tenant's few rows lie in all lists, so all are read and the search stays exact for it.

`tests/benchmarks/scale.py` has measured both; its curve stands in `tests/benchmarks/README.md`.
"""

from __future__ import annotations

import math

import faiss

from assistant.retrieval.embedding import Vectors

EXACT_ROWS = 100_000
SCANNED_ROWS = 200_000
TRAINING_ROWS_PER_LIST = 64  # FAISS advises 39 to 256


def make_vectors(vectors: Vectors) -> faiss.Index:
    """An inner-product index of ``vectors``, shape (rows, dimension), whose ids are the row numbers.

    A million rows of 384 take one to two minutes, and 1 GB beside ``vectors``.
    """
    rows, dimension = vectors.shape
    index = faiss.IndexFlatIP(dimension) if rows <= EXACT_ROWS else _trained_lists(vectors)
    index.add(vectors)
    return index


def search_parameters(index: faiss.Index, selector: faiss.IDSelector, num_selected: int) -> faiss.SearchParameters:
    """How to search ``index``, next and on this thread, for rows of ``selector``, of which there are ``num_selected``.

    The selector must outlive the search.
    """
    # The one parameter that FAISS keeps per thread. With two cores a search of 0.3 ms waited up to 16 ms for the
    # second while other programs kept both busy, as the chat model does.
    faiss.omp_set_num_threads(1)
    if isinstance(index, faiss.IndexIVF):
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(index.nlist, math.ceil(index.nlist * SCANNED_ROWS / max(num_selected, 1)))
        parameters.sel = selector
        return parameters
    exact = faiss.SearchParameters()
    exact.sel = selector
    return exact


def _trained_lists(vectors: Vectors) -> faiss.IndexIVFScalarQuantizer:
    rows, dimension = vectors.shape
    lists = 2 * math.isqrt(rows)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        lists,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.by_residual = False  # so that a vector read back and added again is the same vector
    index.train(vectors[:: _step(rows, lists)])
    return index


def _step(rows: int, lists: int) -> int:
    """Every which row to train on: rows are ordered, so a sample is taken from all of them."""
    return max(1, rows // (TRAINING_ROWS_PER_LIST * lists))
