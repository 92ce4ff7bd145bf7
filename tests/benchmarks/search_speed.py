"""How long a search takes among 10,000 entries, encoder included, in both languages.

Run ``python -m tests.benchmarks.search_speed [--entries N] [--searches N]``. Entries are made of the demo FAQ's words
with random vectors (their content does not change how long a search takes); queries are the demo FAQ's own
questions, each asked once, through the real encoders and the real retriever.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from assistant.config import RetrievalSettings, load
from assistant.retrieval.embedding import Encoder, Encoders, Role, Vectors, load_encoders
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.index import build_index
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY


class RandomEncoder:
    """Stands for an encoder while an index is built: other vectors, the same name."""

    def __init__(self, encoder: Encoder) -> None:
        self.name = encoder.name
        self.dimension = encoder.dimension
        self.fingerprint = encoder.fingerprint
        self._random = np.random.default_rng(0)

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One random unit row per text."""
        drawn = self._random.standard_normal((len(texts), self.dimension), dtype=np.float32)
        unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit


def main() -> None:
    """Print the percentiles per language."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=200)
    options = parser.parse_args()
    encoders = load_encoders(load())
    known = load_knowledge(REPOSITORY / "knowledge_base").entries
    for language in ("en", "zh"):
        own = [entry for entry in known if entry.lang == language]
        started = time.perf_counter()
        retriever = _retriever([_made(own, number) for number in range(options.entries)], encoders)
        built_s = time.perf_counter() - started
        queries = [text for entry in own for text in (entry.question, *entry.wordings[:1])]
        times = sorted(
            _milliseconds(retriever, queries[number % len(queries)], language) for number in range(options.searches)
        )
        p50, p95 = times[len(times) // 2], times[int(0.95 * len(times))]
        print(
            f"{language}: {options.entries} entries, p50 {p50:.1f} ms, p95 {p95:.1f} ms (index made in {built_s:.0f} s)"
        )


def _retriever(entries: Sequence[Entry], encoders: Encoders) -> FaqRetriever:
    random_ones = Encoders(**{system: RandomEncoder(encoder) for system, encoder in encoders.by_system().items()})
    return FaqRetriever(build_index(Knowledge.of(entries, ()), random_ones), encoders, RetrievalSettings())


def _made(known: Sequence[Entry], number: int) -> Entry:
    """An entry as long as a real one, of words that real ones are made of."""
    chosen = random.Random(number).choices(known, k=3)
    return replace(
        chosen[0],
        id=str(number),
        question=f"{chosen[1].question} {number}",
        wordings=chosen[1].wordings[:1],
        answer=f"{chosen[2].answer} {number}",
    )


def _milliseconds(retriever: FaqRetriever, query: str, language: str) -> float:
    started = time.perf_counter()
    retriever.search(query, language=language)
    return 1e3 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
