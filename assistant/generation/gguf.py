"""The built-in chat model's GGUF, unpacked once into safetensors beside it; every later start reads those."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path

import structlog
import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from assistant import models
from assistant.errors import ModelTampered

log = structlog.get_logger(__name__)

FOLDER = "hf"
CONVERTED_BYTES = 280_000_000


def converted(source: Path) -> Path:
    """The folder of safetensors made from the GGUF in ``source``, made now if it is not there or damaged.

    Takes about ten seconds the first time. Two processes may call it at once. Raises `StorageError`.
    """
    target = source / FOLDER
    try:
        with FileLock(source / ".convert.lock"):
            if not _is_current(source, target):
                _convert(source, target)
    except OSError as error:
        models.refuse_disk(source, CONVERTED_BYTES, error)
    return target


def _is_current(source: Path, target: Path) -> bool:
    if not target.exists():
        return False
    try:
        models.check_manifest(target, full=True, fix="")
    except ModelTampered as error:
        log.warning("model.conversion_damaged", cause=error.message)
        return False
    made_from = json.loads((target / models.MANIFEST).read_text(encoding="utf-8")).get("source_sha256")
    return bool(made_from == models.sha256_of(_gguf_file(source)))


def _convert(source: Path, target: Path) -> None:
    log.info("model.converting", model=source.name, bytes=CONVERTED_BYTES)
    if shutil.disk_usage(source).free < CONVERTED_BYTES:
        raise OSError(errno.ENOSPC, "No space left on device")
    for leftover in source.glob(".partial-*"):  # of a killed conversion: the lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=source))
    try:
        made = partial / FOLDER
        _write_safetensors(_gguf_file(source), made)
        models.write_manifest(made, {"source_sha256": models.sha256_of(_gguf_file(source))})
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_safetensors(gguf: Path, folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _gguf_file(source: Path) -> Path:
    return next(source.glob("*.gguf"))
