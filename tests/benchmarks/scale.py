"""How search grows with the number of passages: memory, time and recall, up to a million synthetic vectors.

``python -m tests.benchmarks.scale vectors --rows 10000 100000 --dimension 384`` compares FAISS indexes within
all rows, half of them (a language) and a hundredth (a tenant); ``words --documents 100000`` does the same for
BM25, on documents of 15 words that follow Zipf's law. Every index is built and searched in a process of its
own, so that its memory can be seen.

A synthetic vector is the sum of what all texts share, of two topics drawn apart from each other, of its entry
and of noise, its variances falling like those of real ones. With the weights below, 24,000 have the
neighbours of MiniLM's on public FAQ and intent texts (effective dimension 63 and 46, median cosine of the
1,000th neighbour 0.32 and 0.39) and inverted lists find them less well (recall@10 0.87 and 0.97 with 8 of 306
lists), so what holds here holds there. Queries are further rows of the same entries. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import psutil

from assistant.retrieval import vectors as product
from assistant.retrieval.embedding import Vectors
from assistant.retrieval.lexical import LexicalIndex
from tests.conftest import REPOSITORY

KINDS = ("flat", "flat-fp16", "flat-int8", "ivf-flat", "ivf-int8", "product", "hnsw")
SHARED, TOPIC, ENTRY, NOISE = 0.12, 0.15, 0.28, 0.30
ROWS_PER_ENTRY, ROWS_PER_TOPIC = 8, (3000, 200)
DECAY = 0.4
CHUNK = 50_000
NUM_QUERIES = 100
WANTED = 256  # rows, as the retriever asks for; recall is that of the first 10
SELECTED = {"all": 1, "half": 2, "1 %": 100}
PROBES = (16, 64)
SCANNED = (50_000, 100_000, 200_000)  # what `vectors.SCANNED_ROWS` could be
VOCABULARY, WORDS_PER_DOCUMENT, WORDS_PER_QUERY = 200_000, 15, 8


def main() -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    of_vectors = commands.add_parser("vectors")
    of_vectors.add_argument("--rows", type=int, nargs="+", default=[10_000])
    of_vectors.add_argument("--dimension", type=int, default=384)
    of_vectors.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    of_words = commands.add_parser("words")
    of_words.add_argument("--documents", type=int, nargs="+", default=[10_000])
    one = commands.add_parser("one")
    one.add_argument("kind")
    one.add_argument("input", type=Path, help="a folder of vectors, or a number of documents")
    options = parser.parse_args()
    if options.command == "vectors":
        compare(options.rows, options.dimension, options.kinds)
    elif options.command == "words":
        for documents in options.documents:
            _in_its_own_process("words", str(documents))
    elif options.kind == "words":
        measure_words(int(options.input.name))
    else:
        measure(options.kind, options.input)


def compare(sizes: list[int], dimension: int, kinds: list[str]) -> None:
    """Write the vectors once per size, then measure each kind in a fresh process."""
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_vectors(Path(folder), rows, dimension)
            print(
                f"\n{rows:,} vectors of {dimension} (times in ms, median / 95th percentile; the processor's median)",
                flush=True,
            )
            for kind in kinds:
                _in_its_own_process(kind, folder)


def _in_its_own_process(kind: str, about: str) -> None:
    subprocess.run([sys.executable, "-m", "tests.benchmarks.scale", "one", kind, about], check=True, cwd=REPOSITORY)


# Vectors.


def measure(kind: str, folder: Path) -> None:
    """Build one kind of index and search it."""
    queries = np.load(folder / "queries.npy")
    before = psutil.Process().memory_info().rss
    faiss.omp_set_num_threads(2)
    started = time.perf_counter()
    index = build(kind, folder)
    rows = index.ntotal
    seconds = time.perf_counter() - started
    megabytes = (psutil.Process().memory_info().rss - before) / 1e6
    print(f"{kind:10s} built in {seconds:6.1f} s, {megabytes:6.0f} MB", flush=True)
    for name, part in SELECTED.items():
        expected = truth(folder, index if kind == "flat" else None, queries, rows // part)
        for label, parameters in ways(kind, index, rows // part):
            print(f"  {name:5s} {label:12s} {timed(index, queries, parameters, expected)}", flush=True)


def build(kind: str, folder: Path) -> faiss.Index:
    """An index of the rows in ``folder``; none of them stays in memory but in the index."""
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    dimension, lists = rows.shape[1], 2 * int(len(rows) ** 0.5)
    metric = faiss.METRIC_INNER_PRODUCT
    if kind == "product":
        return product.make_vectors(np.array(rows))
    factories = {
        "flat": "Flat",
        "flat-fp16": "SQfp16",
        "flat-int8": "SQ8",
        "ivf-flat": f"IVF{lists},Flat",
        "ivf-int8": f"IVF{lists},SQ8",
        "hnsw": "HNSW32,Flat",
    }
    index = faiss.index_factory(dimension, factories[kind], metric)
    index.train(np.array(rows[:: max(1, len(rows) // (64 * lists))]))
    for start in range(0, len(rows), CHUNK):
        index.add(np.array(rows[start : start + CHUNK]))
    return index


def ways(kind: str, index: faiss.Index, num_selected: int) -> Iterator[tuple[str, faiss.SearchParameters]]:
    """The searches to time: with the product's own breadth, or several fixed ones."""
    selector = faiss.IDSelectorRange(0, num_selected)
    if kind.startswith("ivf"):
        for probes in PROBES:
            yield f"{probes} lists", faiss.SearchParametersIVF(sel=selector, nprobe=probes)
    elif kind == "hnsw":
        for breadth in (64, 256):
            yield f"efSearch {breadth}", faiss.SearchParametersHNSW(sel=selector, efSearch=breadth)
    else:
        for scanned in SCANNED if kind == "product" and isinstance(index, faiss.IndexIVF) else SCANNED[:1]:
            product.SCANNED_ROWS = scanned
            parameters = product.search_parameters(index, selector, num_selected)
            yield (f"{parameters.nprobe} lists" if hasattr(parameters, "nprobe") else "", parameters)


def truth(folder: Path, flat: faiss.Index | None, queries: Vectors, num_selected: int) -> np.ndarray:
    """The ten nearest rows among the first ``num_selected``; the flat index writes them for the others."""
    path = folder / f"truth-{num_selected}.npy"
    if flat is not None:
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorRange(0, num_selected))
        np.save(path, flat.search(queries, 10, params=parameters)[1])
    return np.load(path)


def timed(index: faiss.Index, queries: Vectors, parameters: faiss.SearchParameters, expected: np.ndarray) -> str:
    """Times of single queries on one thread and on two, the processor's time on one, and recall@10."""
    cells, worked = [], []
    found = np.empty_like(expected)
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        waited = []
        for number in range(len(queries)):
            started, busy = time.perf_counter(), time.thread_time()
            _, ids = index.search(queries[number : number + 1], WANTED, params=parameters)
            waited.append(1e3 * (time.perf_counter() - started))
            if threads == 1:
                worked.append(1e3 * (time.thread_time() - busy))
            found[number] = ids[0, :10]
        cells.append(f"{np.median(waited):7.2f} / {np.quantile(waited, 0.95):7.2f}")
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, expected, strict=True)])
    return f"1 thread {cells[0]} (processor {np.median(worked):7.2f})   2 threads {cells[1]}   recall@10 {recall:.3f}"


def write_vectors(folder: Path, rows: int, dimension: int) -> None:
    """Write ``rows.npy`` and ``queries.npy``; a row's topics do not depend on its place."""
    draw = _drawer(rows, dimension)
    file = np.lib.format.open_memmap(str(folder / "rows.npy"), mode="w+", dtype=np.float32, shape=(rows, dimension))
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        file[start : start + size] = draw(size, start + 1)
    file.flush()
    np.save(folder / "queries.npy", draw(NUM_QUERIES, 0))


def _drawer(rows: int, dimension: int) -> Callable[[int, int], Vectors]:
    basis = _basis(dimension)
    random = np.random.default_rng(1)

    def normal(count: int, variance: float, source: np.random.Generator = random) -> Vectors:
        drawn: Vectors = source.standard_normal((count, dimension), dtype=np.float32) @ basis
        return np.float32(variance**0.5) * drawn

    num_entries = rows // ROWS_PER_ENTRY
    entries = normal(1, SHARED) + normal(num_entries, ENTRY)
    for size in ROWS_PER_TOPIC:
        topics = normal(max(1, rows // size), TOPIC)
        entries += topics[random.integers(0, len(topics), num_entries)]

    def draw(count: int, seed: int) -> Vectors:
        source = np.random.default_rng((2, seed))
        drawn: Vectors = entries[source.integers(0, num_entries, count)] + normal(count, NOISE, source)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    return draw


def _basis(dimension: int) -> Vectors:
    """A turned coordinate system with falling variances that add up to one."""
    scale = np.arange(1, dimension + 1) ** -DECAY
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension, dimension)))
    return (turn * (scale / np.linalg.norm(scale))[:, None]).astype(np.float32)


# Words.


def measure_words(num_documents: int) -> None:
    """Index synthetic documents and search them."""
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, VOCABULARY + 1)
    cumulative = np.cumsum(share / share.sum())

    def text(num_words: int) -> str:
        numbers = np.searchsorted(cumulative, random.random(num_words)).clip(max=VOCABULARY - 1)
        return " ".join(f"word{number:x}q" for number in numbers)

    texts = [text(WORDS_PER_DOCUMENT) for _ in range(num_documents)]
    queries = [text(WORDS_PER_QUERY) for _ in range(NUM_QUERIES)]
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    index = LexicalIndex(texts)
    seconds = time.perf_counter() - started
    kept = psutil.Process().memory_info().rss - before
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{num_documents:,} documents: {seconds:.1f} s to index, {kept / 1e6:.0f} MB kept, {peak / 1e6:.0f} MB at most"
    )
    waited, worked = [], []
    for query in queries:
        started, busy = time.perf_counter(), time.thread_time()
        scores = index.scores(query)
        np.argpartition(scores, -128)
        waited.append(1e3 * (time.perf_counter() - started))
        worked.append(1e3 * (time.thread_time() - busy))
    print(
        f"  a query: {np.median(waited):.1f} / {np.quantile(waited, 0.95):.1f} ms (processor {np.median(worked):.1f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
