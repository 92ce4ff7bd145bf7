"""The built-in English encoder in 8 bits on onnxruntime: three times as fast on a CPU, and no torch to import.

It is converted once, into the model's own folder (`onnx_export`), and tried at every load: the rounded
arithmetic depends on the processor, so a cosine under 0.98 to the original's vectors on this machine refuses
it. Bounds: one conversion at a time, of at most five minutes; a text is cut at the model's own length.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog
from filelock import FileLock
from tokenizers import Tokenizer

from assistant import models
from assistant.errors import ModelError, ModelTampered
from assistant.retrieval.embedding import CONVERTED, Encoder, Vectors, encodable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RECIPE = "int8 in blocks of 64, one text at a time"
"""Whoever changes what `onnx_export` computes changes this too: it is part of the encoder's fingerprint."""

MIN_COSINE = 0.98
CONVERSION_TIMEOUT_S = 300
CONVERTED_BYTES = 60_000_000
KEEP_TORCH = 'Or set [retrieval] encoder_runtime = "torch".'

_EXPORT = Path(__file__).with_name("onnx_export.py")

log = structlog.get_logger(__name__)


class Int8Encoder:
    """An `Encoder` that may run in many threads at once, each using one core."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, *, name: str, fingerprint: str) -> None:
        self._session = _session(folder / "model.onnx")
        self._tokenizer = tokenizer
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = int(self._session.get_outputs()[0].shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One L2-normalised float32 row per text; a text's row does not depend on the others."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for number, text in enumerate(encodable(texts)):
            ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
            vectors[number] = self._session.run(None, {"input_ids": ids})[0][0]
        return vectors


def load_int8(source: Path, *, name: str, fingerprint: str) -> Int8Encoder:
    """The model in ``source`` (whose weights have ``fingerprint``), converted now if it was not before.

    The first time takes about 20 s, later ones 0.3 s. Raises `ModelError` where it cannot be converted or run,
    or runs wrongly, on this machine; `StorageError` where there is no room for it.
    """
    _require_runtime()
    folder = _converted(source, fingerprint)
    own = hashlib.sha256(f"{RECIPE} {fingerprint}".encode()).hexdigest()
    encoder = Int8Encoder(folder, _tokenizer(source), name=name, fingerprint=own)
    require_likeness(encoder, folder / "probes.json")
    return encoder


def require_likeness(encoder: Encoder, probes: Path) -> None:
    """Raise `ModelError` unless ``encoder`` gives the vectors in ``probes``, up to `MIN_COSINE`."""
    expected: dict[str, list[float]] = json.loads(probes.read_text(encoding="utf-8"))
    vectors = np.array(list(expected.values()), dtype=np.float32)
    worst = float((encoder.encode(list(expected)) * vectors).sum(axis=1).min())
    if not worst >= MIN_COSINE:
        raise ModelError(
            f"The encoder {encoder.name!r} in 8 bits gives other vectors on this processor: "
            f"cosine {worst:.3f}, at least {MIN_COSINE} is wanted.",
            fix='Set [retrieval] encoder_runtime = "torch".',
        )


def _require_runtime() -> None:
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"onnxruntime cannot be imported: {error}.", fix=f"Install onnxruntime, onnx and onnxscript. {KEEP_TORCH}"
        ) from error


def _session(path: Path) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One core per query: a second one halves the time on an idle machine, and waits for the chat model on a busy one.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it pays for repeated lengths only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no other base
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} cannot run {path}: {error}.",
            fix=f"Delete the folder {path.parent} to have it made again. {KEEP_TORCH}",
        ) from error


def _tokenizer(source: Path) -> Tokenizer:
    limit = json.loads((source / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"]
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(limit))
    return tokenizer


def _converted(source: Path, fingerprint: str) -> Path:
    """The folder that `onnx_export` wrote for these weights; asked for first without a lock: it may be read-only."""
    target = source / CONVERTED
    if _is_current(target, fingerprint):
        return target
    try:
        with FileLock(source / ".int8.lock"):
            if not _is_current(target, fingerprint):
                _convert(source, target, fingerprint)
    except OSError as error:
        models.refuse_disk(source, CONVERTED_BYTES, error)
    return target


def _is_current(folder: Path, fingerprint: str) -> bool:
    if not folder.exists():
        return False
    try:
        models.check_manifest(folder, full=True, fix="")
    except ModelTampered as error:
        log.warning("encoder.conversion_damaged", cause=error.message)
        return False
    about = json.loads((folder / models.MANIFEST).read_text(encoding="utf-8"))
    return (about.get("recipe"), about.get("source_fingerprint")) == (RECIPE, fingerprint)


def _convert(source: Path, target: Path, fingerprint: str) -> None:
    log.info("encoder.converting", model=source.name, bytes=CONVERTED_BYTES)
    for leftover in source.glob(".int8-partial-*"):  # of a killed conversion: the lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=".int8-partial-", dir=source))
    try:
        made = partial / CONVERTED
        _export(source, made)
        models.write_manifest(made, {"recipe": RECIPE, "source_fingerprint": fingerprint})
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _export(source: Path, made: Path) -> None:
    # -P: the file's own folder stays off the path, where names like `markdown` would hide others' modules.
    command = [sys.executable, "-P", str(_EXPORT), str(source), str(made)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TMPDIR": str(made.parent)}
    try:
        subprocess.run(  # noqa: S603
            command, env=environment, check=True, capture_output=True, timeout=CONVERSION_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise _not_converted(source, f"it took more than {CONVERSION_TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise _not_converted(source, lines[-1] if lines else f"exit status {error.returncode}") from error


def _not_converted(source: Path, cause: str) -> ModelError:
    return ModelError(
        f"The encoder in {source} cannot be converted for onnxruntime: {cause}.",
        fix=f"Install onnx and onnxscript if they are missing. {KEEP_TORCH}",
    )
