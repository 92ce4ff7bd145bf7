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

PASSAGE_SCALE = 2.0
"""The vectors of the encoder for passages lie in a narrow cone: unscaled, a regularised head hardly sees them."""


class Encoder(Protocol):
    """Texts to vectors whose inner product is their cosine. Blocking and thread-safe."""

    @property
    def fingerprint(self) -> str:
        """Two encoders of one fingerprint compute the same vectors."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised float32 row per text, in the order given."""


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """The encoder for English and the one for every language; they may be the same object.

    ``passage`` finds passages; a head may look through it too.
    """

    english: Encoder
    multilingual: Encoder
    passage: Encoder | None = None

    def features(self, texts: Sequence[str], *, language: str) -> Vectors:
        """What a linear head sees of texts in one language; each encoder computes once.

        English rows are both encoders' vectors side by side: together they separate labels better than each alone.
        The English encoder knows no other language, so elsewhere the multilingual one stands alone.
        """
        views = [self.multilingual.encode(texts)]
        if language == ENGLISH and self.english is not self.multilingual:
            views.insert(0, self.english.encode(texts))
        if self.passage is not None and self.passage is not self.multilingual:
            views.append(PASSAGE_SCALE * self.passage.encode(texts))
        return np.hstack(views)
