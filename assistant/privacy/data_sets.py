"""Data sets made from conversations: JSON Lines in which every row names what it came from.

A row goes if it has the id of the visitor, of a conversation or of a message anywhere. What was trained on the file
cannot be erased from: its cards name the file by SHA-256, and the advice is to train it again.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal, TypeVar

from assistant.errors import StorageError
from assistant.privacy.identifiers import Identifiers

PATTERNS = ("**/*.jsonl", "**/*.jsonl.gz")
CARDS = "**/assistant_adapter.json"
MAX_CARD_BYTES = 1_048_576
BLOCK = 1_048_576

Result = TypeVar("Result")


class DataSets:
    """The data sets below ``root``, without the folders of ``apart``; ``trained`` are the folders of adapters."""

    name = "data_sets"

    def __init__(self, root: Path, *, apart: Sequence[Path] = (), trained: Sequence[Path] = ()) -> None:
        self._root = root
        self._apart = tuple(apart)
        self._trained = tuple(trained)

    def held(self, ids: Collection[str]) -> list[str]:
        """The rows, each after its file and line. Raises `StorageError`."""
        wanted = Identifiers(ids)
        return [row for path in self._files() for row in self._rows(path, wanted)]

    def advice(self, ids: Collection[str]) -> list[str]:
        """Which files lose rows, and which adapters were trained on them. Raises `StorageError`."""
        wanted = Identifiers(ids)
        return [line for path in self._files() if self._holds_any(path, wanted) for line in self._told(path)]

    def erase(self, ids: Collection[str]) -> int:
        """Write each affected file anew without the rows; gives how many rows went. Raises `StorageError`."""
        wanted = Identifiers(ids)
        return sum(self._rewrite(path, wanted) for path in self._files() if self._holds_any(path, wanted))

    def _files(self) -> Iterator[Path]:
        found = {path for pattern in PATTERNS for path in self._root.glob(pattern) if path.is_file()}
        for path in sorted(found):
            if not path.is_symlink() and not any(path.is_relative_to(folder) for folder in self._apart):
                yield path

    def _cards(self) -> list[Path]:
        return sorted({card for folder in self._trained if folder.is_dir() for card in folder.glob(CARDS)})

    def _told(self, path: Path) -> list[str]:
        digest, name = _guarded(path, lambda: _sha256(path)), path.relative_to(self._root)
        adapters = [card.parent for card in self._cards() if digest in _read_card(card)]
        return [
            f"Train on {name} again what was trained on it, which remembers the rows that were erased from it.",
            *(f"Train the adapter {adapter} again: it was trained on {name}." for adapter in adapters),
        ]

    def _rows(self, path: Path, wanted: Identifiers) -> list[str]:
        return _guarded(path, lambda: _rows(path, self._root, wanted))

    def _holds_any(self, path: Path, wanted: Identifiers) -> bool:
        return _guarded(path, lambda: _any_line(path, wanted))

    def _rewrite(self, path: Path, wanted: Identifiers) -> int:
        partial = path.with_name(f".{path.name}.erasing")
        try:
            return _guarded(path, lambda: _without(path, partial, wanted))
        finally:
            partial.unlink(missing_ok=True)


def _any_line(path: Path, wanted: Identifiers) -> bool:
    with _open(path, "rt") as lines:
        return any(wanted.is_in(line) for line in lines)


def _rows(path: Path, root: Path, wanted: Identifiers) -> list[str]:
    with _open(path, "rt") as lines:
        numbered = enumerate(lines, start=1)
        return [f"{path.relative_to(root)}:{number}: {line.strip()}" for number, line in numbered if wanted.is_in(line)]


def _without(path: Path, partial: Path, wanted: Identifiers) -> int:
    num_rows = 0
    with _open(path, "rt") as old, _open(partial, "wt") as new:
        for line in old:
            if wanted.is_in(line):
                num_rows += 1
            else:
                new.write(line)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.chmod(path.stat().st_mode)
    partial.replace(path)
    return num_rows


def _open(path: Path, mode: Literal["rt", "wt"]) -> IO[str]:
    if path.suffix == ".gz" or path.name.endswith(".gz.erasing"):
        return gzip.open(path, mode, encoding="utf-8", newline="")
    return path.open(mode, encoding="utf-8", newline="")


def _guarded(path: Path, work: Callable[[], Result]) -> Result:
    try:
        return work()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise StorageError(
            f"The data set {path} cannot be searched or written: {error}.",
            fix="Repair or remove it, and erase again: everything before it is done.",
        ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _read_card(card: Path) -> str:
    with card.open("rb") as file:
        return file.read(MAX_CARD_BYTES).decode("utf-8", "replace")
