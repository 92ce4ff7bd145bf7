"""multilingual-e5-small, as an `Encoder`: it finds passages that answer a question, in a hundred languages.

Wang et al. 2024, "Multilingual E5 Text Embeddings". It was trained with a word before each text that tells a question
from what may answer one (`embedding.PREFIXES`); 384 dimensions, texts of up to 512 tokens. It runs in 8 bits on
onnxruntime, converted once; where that cannot be, in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from assistant.retrieval.e5_file import FILE, E5File
from assistant.retrieval.embedding import PREFIXES, Role, Vectors, one_by_one
from assistant.retrieval.onnx_conversion import (
    MODEL,
    PROBES,
    Conversion,
    converted,
    open_session,
    require_likeness,
)

CONVERSION = Conversion(
    program="assistant.retrieval.e5_export",
    recipe="e5 in int8 in blocks of 64, one text at a time",
    num_bytes=60_000_000,
)


class OnnxE5:
    """An `Encoder` that may run in many threads at once, each using one core."""

    def __init__(self, source: Path, folder: Path, *, name: str, fingerprint: str) -> None:
        self._session = open_session(folder / MODEL)
        self._input = self._session.get_inputs()[0].name
        file = E5File(source / FILE)
        self._words = file.words
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(file.shape.positions)
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = file.shape.hidden

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One L2-normalised float32 row per text; a text's row does not depend on the others."""
        return one_by_one(self._vector, [PREFIXES[role] + text for text in texts], self.dimension)

    def _vector(self, text: str) -> Vectors:
        ids = np.array(self._tokenizer.encode(text).ids, dtype=np.int64)
        vector: Vectors = self._session.run(None, {self._input: self._words[ids][None]})[0][0]
        return vector


def load_e5(source: Path, *, name: str, fingerprint: str) -> OnnxE5:
    """The model in ``source`` (whose weights have ``fingerprint``), converted now if it was not before.

    The first time takes about 30 s, later ones a second. Raises as `converted` does, and `ModelError` where it runs
    wrongly on this machine.
    """
    folder = converted(source, CONVERSION, fingerprint)
    encoder = OnnxE5(source, folder, name=name, fingerprint=CONVERSION.fingerprint(fingerprint))
    require_likeness(encoder, folder / PROBES)
    return encoder
