"""What insight needs of the sentence encoders; whoever builds it hands them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimension), each row of length 1."""

ENGLISH = "en"


class Encoder(Protocol):
    """Texts to vectors whose inner product is their cosine. Blocking and thread-safe."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised float32 row per text, in the order given."""


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """The encoder for English and the one for every language; they may be the same object."""

    english: Encoder
    multilingual: Encoder

    def features(self, texts: Sequence[str], *, language: str) -> Vectors:
        """What a linear head sees of texts in one language; each encoder computes once.

        English rows are both encoders' vectors side by side: together they separate labels better than each alone.
        The English encoder knows no other language, so elsewhere the multilingual one stands alone.
        """
        multilingual = self.multilingual.encode(texts)
        if language != ENGLISH or self.english is self.multilingual:
            return multilingual
        return np.hstack([self.english.encode(texts), multilingual])
