"""The sentence encoders: all-MiniLM-L6-v2 for English, USE for all languages, multilingual-e5-small to find passages.

Any sentence-transformers model can take their place by folder or Hugging Face name. The built-in ones need no
torch: USE runs in numpy, the others in 8 bits on onnxruntime where that is installed (`onnx_encoder`, `e5`).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from assistant.config import Settings
from assistant.errors import ModelError, ModelMissing, StorageError
from assistant.models import BUILT_IN, model_path

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MULTILINGUAL_USE = "use-multilingual-v3"
E5 = "multilingual-e5-small"
ENGLISH = "en"
BATCH_TEXTS = 16
MANY_TEXTS = 4

CONVERTED = "onnx-int8"
"""The folder inside a model's own that holds what `onnx_encoder` made of it."""

# What a model folder holds besides what it computes with: documents, and weights for other runtimes.
_IRRELEVANT = (".md", ".txt.lock", ".lock")
_OTHER_RUNTIMES = ("onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "*.md")

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimension), each row of length 1."""

Role = Literal["query", "passage"]
"""Whether a text asks, or may answer."""

PREFIXES: Mapping[Role, str] = MappingProxyType({"query": "query: ", "passage": "passage: "})
"""What the models of the E5 family were trained to see before a text."""

System = Literal["english", "multilingual", "passage"]
"""What an encoder is for: English texts, texts in any language, passages that answer a question in any language."""

SYSTEMS: tuple[System, ...] = ("english", "multilingual", "passage")

# The older models of the family do not say themselves what goes before their texts.
_E5_NAME = re.compile(r"(?<![a-z0-9])e5(?![a-z0-9])", re.IGNORECASE)

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

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One L2-normalised float32 row per text. Most encoders make no difference between the roles."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """The encoders of an index; two of them may be the same object, and there may be none for passages."""

    english: Encoder
    multilingual: Encoder
    passage: Encoder | None = None

    def by_system(self) -> dict[System, Encoder]:
        """Those that there are."""
        found: dict[System, Encoder | None] = {
            "english": self.english,
            "multilingual": self.multilingual,
            "passage": self.passage,
        }
        return {system: encoder for system, encoder in found.items() if encoder is not None}


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

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One L2-normalised float32 row per text, in the order given; the model's own prompts go before them."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        encode = self._model.encode_query if role == "query" else self._model.encode_document
        with self._turn:
            vectors = encode(
                encodable(texts),
                batch_size=BATCH_TEXTS,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)


def load_encoders(settings: Settings) -> Encoders:
    """Load the encoders: three seconds for the built-in ones, about ten with torch.

    The first time, two are converted for onnxruntime, which takes about a minute more.
    Raises `ModelMissing` if one is not on this machine, `ModelError` if it is no sentence encoder.
    """
    turn = threading.Lock()
    chosen = settings.retrieval
    loaded = {name: _load(settings, name, turn) for name in chosen.encoders}
    return Encoders(
        english=loaded[chosen.english_encoder],
        multilingual=loaded[chosen.multilingual_encoder],
        passage=loaded[chosen.passage_encoder] if chosen.passage_encoder else None,
    )


def one_by_one(encode: Callable[[str], Vectors], texts: Sequence[str], dimension: int) -> Vectors:
    """Each text's row by ``encode``, which computes on one core; many texts are spread over all of them."""
    vectors = np.empty((len(texts), dimension), dtype=np.float32)
    spread = _workers().map if len(texts) >= MANY_TEXTS else map
    for number, row in enumerate(spread(encode, encodable(texts))):
        vectors[number] = row
    return vectors


@lru_cache(maxsize=1)
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="encode")


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
    if converted is None and name == E5:
        from assistant.retrieval.e5_torch import TorchE5

        return TorchE5(folder, name=name, fingerprint=fingerprint)
    return converted or SentenceEncoder(_open(folder, settings, name), name=name, fingerprint=fingerprint, turn=turn)


def _load_converted(settings: Settings, folder: Path, name: str, fingerprint: str) -> Encoder | None:
    """The built-in encoder on onnxruntime, or None where torch shall or must do."""
    runtime = settings.retrieval.encoder_runtime
    if runtime == "torch" or (runtime == "auto" and settings.generation.device == "cuda"):
        return None
    from assistant.retrieval.e5 import load_e5
    from assistant.retrieval.onnx_encoder import load_int8

    try:
        return (load_e5 if name == E5 else load_int8)(folder, name=name, fingerprint=fingerprint)
    except (ModelError, StorageError) as error:
        if runtime == "onnx":
            raise
        log.warning("encoder.int8_not_usable", encoder=name, cause=error.message, fix=error.fix)
        return None


def _open(folder: Path, settings: Settings, name: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # a bar for a fraction of a second
    prompts = {"query": PREFIXES["query"], "document": PREFIXES["passage"]} if _E5_NAME.search(name) else None
    device = None if settings.generation.device == "auto" else settings.generation.device
    try:
        return SentenceTransformer(str(folder), device=device, local_files_only=True, prompts=prompts)
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
