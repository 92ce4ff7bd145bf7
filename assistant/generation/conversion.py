"""Weights made once from others and kept beside them: whole or not at all, and made again where they are damaged."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from filelock import FileLock

from assistant import models
from assistant.errors import ModelTampered

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is made: the folder's name, about how many bytes, and what it was made from and by."""

    folder: str
    num_bytes: int
    made_from: Mapping[str, str] = field(default_factory=dict)


def converted(source: Path, conversion: Conversion, write: Callable[[Path], None]) -> Path:
    """The folder in ``source`` that ``write`` fills, filled now where it is missing, damaged or made from others.

    Two processes may call it at once. Raises `StorageError`.
    """
    target = source / conversion.folder
    try:
        with FileLock(source / ".convert.lock"):
            if not _is_current(target, conversion):
                _convert(source, target, conversion, write)
    except OSError as error:
        models.refuse_disk(source, conversion.num_bytes, error)
    return target


def _is_current(target: Path, conversion: Conversion) -> bool:
    if not target.exists():
        return False
    try:
        models.check_manifest(target, full=True, fix="")
    except ModelTampered as error:
        log.warning("model.conversion_damaged", cause=error.message)
        return False
    manifest: dict[str, object] = json.loads((target / models.MANIFEST).read_text(encoding="utf-8"))
    return conversion.made_from.items() <= manifest.items()


def _convert(source: Path, target: Path, conversion: Conversion, write: Callable[[Path], None]) -> None:
    log.info("model.converting", model=source.name, to=conversion.folder, bytes=conversion.num_bytes)
    if shutil.disk_usage(source).free < conversion.num_bytes:
        raise OSError(errno.ENOSPC, "No space left on device")
    for leftover in source.glob(".partial-*"):  # of a killed conversion: the lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=source))
    try:
        made = partial / conversion.folder
        write(made)
        models.write_manifest(made, conversion.made_from)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
