"""An encoder without a model: texts that share character trigrams lie close to each other."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from assistant.retrieval.embedding import Encoders, Role, Vectors


class HashingEncoder:
    """Deterministic; ``same_as`` names texts that count as others, such as translations."""

    def __init__(self, name: str, *, dimension: int = 256, same_as: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.dimension = dimension
        self.fingerprint = f"{name}-{dimension}"
        self.num_texts = 0
        self._same_as = same_as or {}

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        self.num_texts += len(texts)
        return np.stack([self._one(self._same_as.get(text, text)) for text in texts])

    def _one(self, text: str) -> Vectors:
        vector = np.zeros(self.dimension, dtype=np.float32)
        padded = f"  {text.casefold()} "
        for start in range(len(padded) - 2):
            vector[zlib.crc32(padded[start : start + 3].encode("utf-8", "surrogatepass")) % self.dimension] += 1
        return vector / np.linalg.norm(vector)


def hashing_encoders(same_as: Mapping[str, str] | None = None) -> Encoders:
    return Encoders(
        english=HashingEncoder("hash-english", dimension=192),
        multilingual=HashingEncoder("hash-multilingual", same_as=same_as),
    )
