"""The knowledge of all tenants as it is served: each root with the edits that lie over it.

Over a root lies ``data_dir/knowledge_base`` (a tenant's: ``data_dir/tenants/NAME/knowledge_base``), a folder of the
same layout: an entry there replaces the root's of the same language and id, a document the one in the same place.
Uppermost is its ``LANGUAGE/edits.jsonl``, which the console writes; a row ``{"id", "lang", "removed": true}`` takes an
entry away. Entries from there have sources that begin with ``overlay/``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assistant.config import Settings
from assistant.errors import KnowledgeError, StorageError
from assistant.retrieval.entries import Entry, EntryKey, Knowledge
from assistant.retrieval.sources import Reading, list_files, nothing_found, read_files, read_root

OVERLAY = "overlay"
EDITS = "edits.jsonl"
MAIN_TENANT = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where one tenant's knowledge lies."""

    tenant: str
    root: Path
    overlay: Path


def shelves(settings: Settings) -> Iterator[Shelf]:
    """The main brand's shelf first, then those of the further tenants."""
    yield Shelf(MAIN_TENANT, settings.knowledge.root, settings.data_dir / "knowledge_base")
    for name, tenant in settings.tenants.items():
        yield Shelf(name, tenant.root, settings.data_dir / "tenants" / name / "knowledge_base")


def shelf_of(settings: Settings, tenant: str) -> Shelf:
    """The shelf of ``tenant``. Raises `KnowledgeError` if the settings do not know it."""
    for shelf in shelves(settings):
        if shelf.tenant == tenant:
            return shelf
    known = ", ".join(repr(name) for name in settings.tenants) or "none"
    raise KnowledgeError(
        f"The tenant {tenant!r} is not in the settings.", fix=f"Leave it out for the main brand; others: {known}."
    )


def load_all(settings: Settings) -> Knowledge:
    """Everything the settings name. A tenant without entries is a problem, one without a folder an error.

    Raises `KnowledgeError` where a root does not exist or there is no entry at all.
    """
    entries: list[Entry] = []
    problems: list[KnowledgeError] = []
    for shelf in shelves(settings):
        reading = _read_shelf(shelf)
        problems += reading.problems
        entries += (entry for entry, _ in reading.entries.values())
        if not reading.entries:
            problems.append(nothing_found(shelf.root, reading.problems))
    if not entries:
        raise problems[-1] if len(problems) == 1 else nothing_found(settings.knowledge.root, problems)
    return Knowledge.of(entries, problems)


def source_path(settings: Settings, source: str, *, tenant: str = MAIN_TENANT) -> Path:
    """The file that an entry's ``source`` names, for `read_source`."""
    shelf = shelf_of(settings, tenant)
    first, _, rest = source.partition("/")
    if first == OVERLAY:
        return shelf.overlay / rest
    return shelf.root if shelf.root.is_file() else shelf.root / source


def write_edit(overlay: Path, language: str, row: dict[str, object]) -> Callable[[], None]:
    """Put ``row`` into the edits of ``language``, in place of the one with its id; what comes back undoes it.

    The file is replaced as a whole: a reader sees the old one or the new one. Raises `StorageError`.
    """
    path = overlay / language / EDITS
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        kept = [line for line in before.split("\n") if line.strip() and _id_of(line) != row["id"]]
        _replace(path, "".join(f"{line}\n" for line in [*kept, json.dumps(row, ensure_ascii=False)]))
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", fix="Nothing was changed.") from error

    def undo() -> None:
        with suppress(OSError):
            _replace(path, before)

    return undo


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.tmp")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _read_shelf(shelf: Shelf) -> Reading:
    problems: list[KnowledgeError] = []
    files = list(list_files(shelf.overlay, problems)) if shelf.overlay.is_dir() else []
    edits = [path for path in files if path.name == EDITS]
    upper = [path for path in files if path.name != EDITS]
    reading = read_root(shelf.root, tenant=shelf.tenant)
    for layer in (upper, edits):
        above = read_files(layer, shelf.overlay, tenant=shelf.tenant, prefix=f"{OVERLAY}/")
        for key in above.removed | _outdated(reading, above):
            reading.entries.pop(key, None)
        reading.entries |= above.entries
        problems += above.problems
    reading.problems += problems
    return reading


def _outdated(below: Reading, above: Reading) -> set[EntryKey]:
    """The sections of documents that lie above in another version: of a document nothing old may remain."""
    newer = {entry.source.removeprefix(f"{OVERLAY}/") for entry, _ in above.entries.values()}
    return {key for key, (entry, _) in below.entries.items() if entry.kind == "document" and entry.source in newer}


def _id_of(line: str) -> object:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row.get("id") if isinstance(row, dict) else None
