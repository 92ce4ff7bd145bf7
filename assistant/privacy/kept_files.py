"""Files that customers sent, each named by an id of its own or lying in a folder that is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from assistant.errors import StorageError
from assistant.privacy.identifiers import Identifiers


class KeptFiles:
    """The files below ``root`` whose name, or the name of a folder above them, has one of the ids."""

    name = "files"

    def __init__(self, root: Path) -> None:
        self._root = root

    def held(self, ids: Collection[str]) -> list[str]:
        """Their names."""
        wanted = Identifiers(ids)
        found = sorted(self._root.rglob("*")) if self._root.is_dir() else []
        return [str(path.relative_to(self._root)) for path in found if wanted.is_in(path.name)]

    def advice(self, ids: Collection[str]) -> list[str]:
        """Nothing is made from these files."""
        return []

    def erase(self, ids: Collection[str]) -> int:
        """Delete them; gives how many. Raises `StorageError`."""
        wanted, num_files = Identifiers(ids), 0
        for path in sorted(self._root.rglob("*")) if self._root.is_dir() else ():
            if not wanted.is_in(path.name) or not os.path.lexists(path):
                continue
            try:
                num_files += _delete(path)
            except OSError as error:
                raise StorageError(
                    f"{path} cannot be deleted: {error.strerror}.", fix="Give write access, and erase again."
                ) from error
        return num_files


def _delete(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        num_files = sum(1 for inner in path.rglob("*") if not inner.is_dir())
        shutil.rmtree(path)
        return num_files
    path.unlink()
    return 1
