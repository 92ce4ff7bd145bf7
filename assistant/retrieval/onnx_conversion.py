"""Converting an encoder for onnxruntime once, in its model's own folder, and running what came out.

A program of its own converts (`onnx_export`, `e5_export`), so that what the exporter and the quantizer need and change
(half a gigabyte, warnings, logging) ends with it. What it made is tried at every load: the rounded arithmetic depends
on the processor, so a cosine under 0.98 to the original's vectors on this machine refuses it. Bounds: one conversion of
a model at a time, of at most five minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog
from filelock import FileLock

from assistant import models
from assistant.errors import ModelError, ModelTampered
from assistant.retrieval.embedding import CONVERTED, Encoder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MIN_COSINE = 0.98
TIMEOUT_S = 300
MODEL = "model.onnx"
PROBES = "probes.json"
KEEP_TORCH = 'Or set [retrieval] encoder_runtime = "torch".'

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a kind of model is converted.

    ``program`` is the module that writes `MODEL` and `PROBES`, given SOURCE and TARGET; whoever changes what it
    computes changes ``recipe`` too: it is part of the encoder's fingerprint.
    """

    program: str
    recipe: str
    num_bytes: int

    def fingerprint(self, of_source: str) -> str:
        """What identifies the converted weights."""
        return hashlib.sha256(f"{self.recipe} {of_source}".encode()).hexdigest()


def converted(source: Path, conversion: Conversion, fingerprint: str) -> Path:
    """The folder made of the model in ``source``, whose weights have ``fingerprint``; made now if it was not before.

    Asked for first without a lock: it may be read-only. Raises `ModelError` where it cannot be converted here,
    `StorageError` where there is no room for it.
    """
    _require_runtime()
    target = source / CONVERTED
    if _is_current(target, conversion, fingerprint):
        return target
    try:
        with FileLock(source / ".int8.lock"):
            if not _is_current(target, conversion, fingerprint):
                _convert(source, target, conversion, fingerprint)
    except OSError as error:
        models.refuse_disk(source, conversion.num_bytes, error)
    return target


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


def open_session(path: Path) -> InferenceSession:
    """The model at ``path``, computing on one core for each text. Raises `ModelError`."""
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


def _require_runtime() -> None:
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"onnxruntime cannot be imported: {error}.", fix=f"Install onnxruntime, onnx and onnxscript. {KEEP_TORCH}"
        ) from error


def _is_current(folder: Path, conversion: Conversion, fingerprint: str) -> bool:
    if not folder.exists():
        return False
    try:
        models.check_manifest(folder, full=True, fix="")
    except ModelTampered as error:
        log.warning("encoder.conversion_damaged", cause=error.message)
        return False
    about = json.loads((folder / models.MANIFEST).read_text(encoding="utf-8"))
    return (about.get("recipe"), about.get("source_fingerprint")) == (conversion.recipe, fingerprint)


def _convert(source: Path, target: Path, conversion: Conversion, fingerprint: str) -> None:
    log.info("encoder.converting", model=source.name, bytes=conversion.num_bytes)
    for leftover in source.glob(".int8-partial-*"):  # of a killed conversion: the lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=".int8-partial-", dir=source))
    try:
        made = partial / CONVERTED
        _export(source, made, conversion.program)
        models.write_manifest(made, {"recipe": conversion.recipe, "source_fingerprint": fingerprint})
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _export(source: Path, made: Path, program: str) -> None:
    # -P: the working folder stays off the path, where a file's name would hide a module.
    command = [sys.executable, "-P", "-m", program, str(source), str(made)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TMPDIR": str(made.parent)}
    try:
        subprocess.run(  # noqa: S603
            command, env=environment, check=True, capture_output=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise _not_converted(source, f"it took more than {TIMEOUT_S} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise _not_converted(source, lines[-1] if lines else f"exit status {error.returncode}") from error


def _not_converted(source: Path, cause: str) -> ModelError:
    return ModelError(
        f"The encoder in {source} cannot be converted for onnxruntime: {cause}.",
        fix=f"Install onnx and onnxscript if they are missing. {KEEP_TORCH}",
    )
