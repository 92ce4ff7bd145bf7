"""Texts that people edit and that customers read: they are not changed by an erasure, but named to whoever erases.

A row of a data set can go without anybody; an entry of the knowledge base is somebody's answer to everybody, and its
index follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from assistant.errors import StorageError
from assistant.privacy.identifiers import Identifiers

KINDS = (".md", ".jsonl")


class CuratedTexts:
    """The Markdown and JSON Lines files below these folders."""

    name = "curated"

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def held(self, ids: Collection[str]) -> list[str]:
        """The lines that have one of the ids, each after its file and number. Raises `StorageError`."""
        return [f"{path}:{number}: {line.strip()}" for path, number, line in self._lines(Identifiers(ids))]

    def advice(self, ids: Collection[str]) -> list[str]:
        """Which lines somebody has to edit. Raises `StorageError`."""
        places = [f"{path} line {number}" for path, number, _ in self._lines(Identifiers(ids))]
        return [f"Edit {place}, which names what was erased, then run `assistant index`." for place in places]

    def erase(self, ids: Collection[str]) -> int:
        """Nothing: that is left to people."""
        return 0

    def _lines(self, wanted: Identifiers) -> Iterator[tuple[Path, int, str]]:
        for path in sorted(path for folder in self._folders for path in folder.rglob("*") if path.suffix in KINDS):
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
            except OSError as error:
                raise StorageError(f"{path} cannot be read: {error.strerror}.", fix="Give read access.") from error
            yield from ((path, number, line) for number, line in enumerate(lines, start=1) if wanted.is_in(line))
