"""Writes small measurement files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path


def write_rows(path: Path, *rows: object) -> Path:
    """One JSON object per line; gzipped where the name ends so."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
