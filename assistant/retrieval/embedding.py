"""The sentence encoders: English by all-MiniLM-L6-v2, other languages and across languages by USE.

Any sentence-transformers model can take their place by folder or Hugging Face name. The built-in ones need no
torch: USE runs in numpy, MiniLM in 8 bits on onnxruntime where that is installed (`onnx_encoder`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from assistant.config import Settings
from assistant.errors import ModelError, ModelMissing, StorageError
from assistant.models import BUILT_IN, model_path

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MULTILINGUAL_USE = "use-multilingual-v3"
ENGLISH = "en"
BATCH_TEXTS = 16

CONVERTED = "onnx-int8"
"""The folder inside a model's own that holds what `onnx_encoder` made of it."""

# What a model folder holds besides what it computes with: documents, and weights for other runtimes.
_IRRELEVANT = (".md", ".txt.lock", ".lock")
_OTHER_RUNTIMES = ("onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.md")

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimension), each row of length 1."""

log = structlog.get_logger(__name__)


class Encoder(Protocol):
    """Texts to vectors whose inner product is their cosine. `encode` may be called from several threads."""

    @property
    def name(self) -> str:
        """What the settings call it."""

    @property
    def dimension(self) -> int:
        """Numbers per vector."""

    @property
    def fingerprint(self) -> str:
        """What identifies its weights: two encoders of one fingerprint compute the same vectors."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised float32 row per text."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """The two encoders of an index; they may be the same object."""

    english: Encoder
    multilingual: Encoder

    def for_language(self, language: str) -> Encoder:
        """The encoder for text in ``language`` (ISO 639-1)."""
        return self.english if language == ENGLISH else self.multilingual


class SentenceEncoder:
    """A sentence-transformers model as an `Encoder`.

    ``turn`` is held while it computes: a fast tokenizer is not thread-safe, and two encodings at once
    would only fight for the same cores.
    """

    def __init__(self, model: SentenceTransformer, *, name: str, fingerprint: str, turn: threading.Lock) -> None:
        self._model = model
        self._turn = turn
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = _dimension(model, name)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised float32 row per text, in the order given."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._turn:
            vectors = self._model.encode(
                encodable(texts),
                batch_size=BATCH_TEXTS,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)


def load_encoders(settings: Settings) -> Encoders:
    """Load both encoders: two seconds for the built-in ones, about ten with torch.

    The first time, the English one is converted for onnxruntime, which takes about 20 s more.
    Raises `ModelMissing` if one is not on this machine, `ModelError` if it is no sentence encoder.
    """
    turn = threading.Lock()
    english = _load(settings, settings.retrieval.english_encoder, turn)
    if settings.retrieval.multilingual_encoder == settings.retrieval.english_encoder:
        return Encoders(english, english)
    return Encoders(english, _load(settings, settings.retrieval.multilingual_encoder, turn))


def encodable(texts: Sequence[str]) -> list[str]:
    """The texts with half a character (a lone surrogate) replaced: no tokenizer takes it."""
    return [text.encode("utf-8", "replace").decode() for text in texts]


def _load(settings: Settings, name: str, turn: threading.Lock) -> Encoder:
    if name == MULTILINGUAL_USE:
        from assistant.retrieval.use import UseEncoder, weight_files

        return UseEncoder(name=name, fingerprint=_fingerprint(weight_files()))
    path = model_path(settings, name)
    folder = path if isinstance(path, Path) else _fetched(settings, path)
    fingerprint = _fingerprint(_files(folder))
    converted = _load_converted(settings, folder, name, fingerprint) if name in BUILT_IN else None
    return converted or SentenceEncoder(_open(folder, settings, name), name=name, fingerprint=fingerprint, turn=turn)


def _load_converted(settings: Settings, folder: Path, name: str, fingerprint: str) -> Encoder | None:
    """The built-in encoder on onnxruntime, or None where torch shall or must do."""
    runtime = settings.retrieval.encoder_runtime
    if runtime == "torch" or (runtime == "auto" and settings.generation.device == "cuda"):
        return None
    from assistant.retrieval.onnx_encoder import load_int8

    try:
        return load_int8(folder, name=name, fingerprint=fingerprint)
    except (ModelError, StorageError) as error:
        if runtime == "onnx":
            raise
        log.warning("encoder.int8_not_usable", encoder=name, cause=error.message, fix=error.fix)
        return None


def _open(folder: Path, settings: Settings, name: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # a bar for a fraction of a second
    device = None if settings.generation.device == "auto" else settings.generation.device
    try:
        return SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"The encoder {name!r} in {folder} cannot be loaded: {error}.",
            fix="Give [retrieval] a folder saved by sentence-transformers, or fetch the model again.",
        ) from error


def _fetched(settings: Settings, name: str) -> Path:
    """The folder of a Hugging Face model; fetched into the model cache the first time, offline afterwards."""
    from huggingface_hub import snapshot_download

    fetch: Callable[..., str] = snapshot_download
    cache = settings.models_dir / "huggingface"
    try:
        return Path(fetch(name, cache_dir=cache, local_files_only=True))
    except (OSError, ValueError):
        pass
    try:
        return Path(fetch(name, cache_dir=cache, ignore_patterns=list(_OTHER_RUNTIMES)))
    except (OSError, ValueError) as error:
        raise ModelMissing(
            f"The encoder {name!r} is no built-in model and no folder, and Hugging Face did not give it: {error}.",
            fix="Correct its name in [retrieval], connect to the internet once, or give a folder.",
        ) from error


def _files(folder: Path) -> Iterable[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(_IRRELEVANT) and not _is_aside(path.relative_to(folder))
    )


def _is_aside(path: Path) -> bool:
    """Whether it was made from the model, or is being made."""
    return path.parts[0] == CONVERTED or any(part.startswith(".") for part in path.parts)


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _dimension(model: SentenceTransformer, name: str) -> int:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ModelError(f"The encoder {name!r} does not say how long its vectors are.", fix="Use another encoder.")
    return int(dimension)
