"""The index of the demo FAQ with the real encoders, built once for all tests: it takes half a minute."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

_built: list[Path] = []


def lend(data_dir: Path) -> None:
    """Put a copy of the index into ``data_dir``, where one was built already and none is there."""
    if _built and not (data_dir / "index").exists():
        shutil.copytree(_built[0], data_dir / "index")


def keep(data_dir: Path) -> None:
    """Keep a copy of the index that was built in ``data_dir``, where it is the first."""
    if not _built and (data_dir / "index" / "manifest.json").exists():
        kept = Path(tempfile.mkdtemp(prefix="assistant-index-")) / "index"
        shutil.copytree(data_dir / "index", kept)
        atexit.register(shutil.rmtree, kept.parent, ignore_errors=True)
        _built.append(kept)
