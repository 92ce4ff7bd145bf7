"""The index on disk: a folder with ``manifest.json`` and the files it names, one for the vectors of each encoder.

The files' names contain their sha256, and the manifest is replaced last by one rename. So a reader
sees the old index or the new one, whenever a save is cut off, and a full disk leaves the old one
untouched. (Swapping whole folders would need two renames, with no index between them.)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from assistant.config import Settings
from assistant.errors import IndexArtifactError, StorageError
from assistant.retrieval.embedding import SYSTEMS, Encoders, System
from assistant.retrieval.entries import Entry, Knowledge
from assistant.retrieval.index import (
    EncoderIdentity,
    FaqIndex,
    Progress,
    build_index,
    groups_of,
    lexical_of,
    parts_for,
)
from assistant.retrieval.overlay import load_all
from assistant.retrieval.parts import Part
from assistant.retrieval.table import VectorTable

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
REBUILD = "Run `assistant index` to build it again."

ENTRIES = "entries"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of the index."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``manifest.json`` says."""

    format_version: int
    created: datetime
    content_hash: str
    num_entries: int
    num_vectors: dict[System, int]
    encoders: dict[System, EncoderIdentity]
    files: dict[str, StoredFile]


_MANIFEST = TypeAdapter(Manifest)
_ENTRY = TypeAdapter(Entry)


def open_or_build(
    settings: Settings, encoders: Encoders, *, progress: Progress | None = None
) -> tuple[FaqIndex, Knowledge]:
    """The saved index if it fits the knowledge base and the encoders; otherwise build and save it first.

    Of an outdated one those vectors are kept whose texts have not changed.
    Raises `KnowledgeError` (nothing to index) and `StorageError`. Blocking.
    """
    knowledge = load_all(settings)
    previous = None
    try:
        previous = load_index(settings.index_dir, encoders)
        if previous.is_current(knowledge.content_hash):
            return previous, knowledge
        log.info("index.outdated", folder=str(settings.index_dir))
    except IndexArtifactError as error:
        log.info("index.not_usable", cause=error.message)
    index = build_index(knowledge, encoders, previous=previous, progress=progress)
    save_index(index, settings.index_dir)
    log.info("index.built", num_entries=len(index.entries), num_vectors=index.num_vectors)
    return index, knowledge


def save_index(index: FaqIndex, folder: Path) -> None:
    """Write ``index`` into ``folder`` in place of what is there. Raises `StorageError`; then the old one stays."""
    contents: dict[str, bytes] = {
        ENTRIES: b"".join(_ENTRY.dump_json(entry) + b"\n" for entry in index.entries),
    } | {system: table.to_bytes() for system, table in index.tables.items()}
    manifest = _manifest(index, contents)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            _replace(folder, manifest, contents)
    except OSError as error:
        raise StorageError(
            f"The index of {sum(map(len, contents.values()))} bytes cannot be saved in {folder}: {error.strerror}.",
            fix="Make room or give write access there, or set data_dir to another place. An older index was kept.",
        ) from error


def load_index(folder: Path, encoders: Encoders) -> FaqIndex:
    """Read what `save_index` wrote. Raises `IndexArtifactError` if it is missing, damaged or from other encoders."""
    manifest = _read_manifest(folder)
    _check_encoders(folder, manifest, encoders)
    contents = _read_files(folder, manifest)
    entries = tuple(_ENTRY.validate_json(line) for line in contents[ENTRIES].splitlines())
    return FaqIndex(
        entries=entries,
        content_hash=manifest.content_hash,
        created=manifest.created,
        tables={system: _table(folder, parts_for(system, entries), contents[system]) for system in manifest.encoders},
        encoders=manifest.encoders,
        groups=groups_of(entries),
        lexical=lexical_of(entries),
    )


def inspect_index(folder: Path) -> Manifest:
    """What the saved index is made of, its files checked; needs no encoder. Raises `IndexArtifactError`."""
    manifest = _read_manifest(folder)
    _read_files(folder, manifest)
    return manifest


def _manifest(index: FaqIndex, contents: Mapping[str, bytes]) -> Manifest:
    digests = {part: hashlib.sha256(data).hexdigest() for part, data in contents.items()}
    return Manifest(
        format_version=FORMAT_VERSION,
        created=index.created,
        content_hash=index.content_hash,
        num_entries=len(index.entries),
        num_vectors={system: len(table) for system, table in index.tables.items()},
        encoders=dict(index.encoders),
        files={part: StoredFile(f"{part}-{sha[:16]}{_suffix(part)}", sha) for part, sha in digests.items()},
    )


def _replace(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    try:
        for part, data in contents.items():
            _write(folder / manifest.files[part].name, data)
        _write(folder / MANIFEST, _MANIFEST.dump_json(manifest, indent=1))
    finally:
        _remove_unnamed(folder)


def _write(path: Path, data: bytes) -> None:
    """The file appears whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_unnamed(folder: Path) -> None:
    """Remove what no manifest names (any more), and what a killed process left half-written."""
    try:
        named = {file.name for file in _read_manifest(folder).files.values()}
    except IndexArtifactError:
        named = set()
    for pattern in (*(f"{part}-*{_suffix(part)}" for part in (ENTRIES, *SYSTEMS)), "*.tmp"):
        for path in folder.glob(pattern):
            if path.name not in named:
                with suppress(OSError):  # a file too many does no harm
                    path.unlink()


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        version = TypeAdapter(dict[str, object]).validate_json(data).get("format_version")
    except FileNotFoundError as error:
        raise IndexArtifactError(f"There is no index in {folder}.", fix=REBUILD) from error
    except (OSError, ValidationError) as error:
        raise IndexArtifactError(f"The index's {path} cannot be read.", fix=REBUILD) from error
    if version != FORMAT_VERSION:
        raise IndexArtifactError(
            f"The index in {folder} has format {version}; this version reads {FORMAT_VERSION}.", fix=REBUILD
        )
    try:
        manifest = _MANIFEST.validate_json(data)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise IndexArtifactError(f"The index's {path} has a wrong {field}.", fix=REBUILD) from error
    if set(manifest.files) != {ENTRIES, *manifest.encoders}:
        raise IndexArtifactError(f"The index's {path} names other parts than its encoders'.", fix=REBUILD)
    return manifest


def _check_encoders(folder: Path, manifest: Manifest, encoders: Encoders) -> None:
    ours = encoders.by_system()
    if set(manifest.encoders) != set(ours):
        raise IndexArtifactError(
            f"The index in {folder} was made with encoders for {', '.join(manifest.encoders)}, not {', '.join(ours)}.",
            fix=REBUILD,
        )
    for system, encoder in ours.items():
        _check_encoder(folder, system, manifest.encoders[system], EncoderIdentity.of(encoder))


def _check_encoder(folder: Path, system: System, made: EncoderIdentity, ours: EncoderIdentity) -> None:
    for name, theirs, own in (
        ("name", made.name, ours.name),
        ("dimension", made.dimension, ours.dimension),
        ("fingerprint", made.fingerprint, ours.fingerprint),
    ):
        if theirs != own:
            raise IndexArtifactError(
                f"The index in {folder} was made with another {system} encoder: {name} {theirs}, not {own}.",
                fix=REBUILD,
            )


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    return {part: _read(folder, file) for part, file in manifest.files.items()}


def _suffix(part: str) -> str:
    return ".jsonl" if part == ENTRIES else ".faiss"


def _read(folder: Path, file: StoredFile) -> bytes:
    path = folder / file.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IndexArtifactError(f"The index's {path} cannot be read: {error.strerror}.", fix=REBUILD) from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise IndexArtifactError(f"The index's {path} has sha256 {found}, expected {file.sha256}.", fix=REBUILD)
    return data


def _table(folder: Path, parts: list[list[Part]], data: bytes) -> VectorTable:
    try:
        return VectorTable.from_bytes(parts, data)
    except ValueError as error:
        raise IndexArtifactError(f"The index in {folder} does not fit its entries: {error}.", fix=REBUILD) from error
