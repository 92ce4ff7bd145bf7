"""The index on disk: saved whole or not at all, and refused when it does not fit."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.config import Settings
from assistant.errors import IndexArtifactError, StorageError
from assistant.retrieval import artifact
from assistant.retrieval.artifact import MANIFEST, inspect_index, load_index, open_or_build, save_index
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.index import FaqIndex, build_index
from assistant.retrieval.sources import Knowledge, load_knowledge
from tests.retrieval.entries import entry
from tests.retrieval.hashing import HashingEncoder, hashing_encoders

pytestmark = pytest.mark.unit


@pytest.fixture
def index(knowledge: Knowledge, encoders: Encoders) -> FaqIndex:
    return build_index(knowledge, encoders)


@pytest.fixture
def folder(tmp_path: Path, index: FaqIndex) -> Path:
    save_index(index, tmp_path / "data" / "index")
    return tmp_path / "data" / "index"


@pytest.fixture
def changed(root: Path, encoders: Encoders) -> FaqIndex:
    """An index of other contents."""
    path = root / "en" / "returns.md"
    path.write_text(path.read_text(encoding="utf-8").replace("30 days", "60 days"), encoding="utf-8")
    return build_index(load_knowledge(root), encoders)


def test_what_is_saved_is_what_is_loaded(folder: Path, index: FaqIndex, encoders: Encoders) -> None:
    loaded = load_index(folder, encoders)
    assert loaded.entries == index.entries
    assert loaded.created == index.created
    assert loaded.is_current(index.content_hash)
    assert not loaded.is_current("another")
    for one, other in (
        (loaded.tables["english"], index.tables["english"]),
        (loaded.tables["multilingual"], index.tables["multilingual"]),
    ):
        assert one.to_bytes() == other.to_bytes()


def test_the_manifest_says_what_made_it(folder: Path, index: FaqIndex, encoders: Encoders) -> None:
    manifest = inspect_index(folder)
    assert manifest.num_entries == 6
    assert manifest.num_vectors == {"english": 20, "multilingual": 20}
    assert manifest.content_hash == index.content_hash
    assert manifest.encoders["english"].fingerprint == encoders.english.fingerprint


def test_a_new_index_replaces_the_old_one_and_leaves_nothing_behind(
    folder: Path, changed: FaqIndex, encoders: Encoders
) -> None:
    (folder / "english-0123.faiss.tmp").write_bytes(b"left by a killed process")
    save_index(changed, folder)
    assert load_index(folder, encoders).content_hash == changed.content_hash
    named = {file.name for file in inspect_index(folder).files.values()}
    assert {path.name for path in folder.iterdir()} - {".lock"} == named | {MANIFEST}


@pytest.mark.parametrize("fails_at", range(8))
def test_a_full_disk_at_any_step_leaves_the_old_index_untouched(
    folder: Path, index: FaqIndex, changed: FaqIndex, encoders: Encoders, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fail_at_call(monkeypatch, fails_at)
    with pytest.raises(StorageError, match=r"data/index: No space left on device.*Make room") as caught:
        save_index(changed, folder)
    assert isinstance(caught.value.__cause__, OSError)
    monkeypatch.undo()
    loaded = load_index(folder, encoders).content_hash
    if fails_at < 7:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert loaded == index.content_hash
    else:  # the manifest was in place already; only the folder's own sync failed
        assert loaded == changed.content_hash


def fail_at_call(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the given call of fsync fail; each of the four files is synced, then its folder."""
    calls = iter(range(100))
    fsync = os.fsync

    def failing(handle: int) -> None:
        if next(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", failing)


def test_a_first_save_that_fails_leaves_no_half_index(
    tmp_path: Path, index: FaqIndex, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_call(monkeypatch, 4)
    with pytest.raises(StorageError):
        save_index(index, tmp_path / "index")
    assert [path.name for path in (tmp_path / "index").iterdir() if path.name != ".lock"] == []
    with pytest.raises(IndexArtifactError, match=r"There is no index in .*`assistant index`"):
        load_index(tmp_path / "index", encoders)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, index: FaqIndex) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="file/index"):
        save_index(index, tmp_path / "file" / "index")


@pytest.mark.parametrize("part", ["entries", "english", "multilingual"])
def test_a_tampered_file_is_refused_by_name(folder: Path, encoders: Encoders, part: str) -> None:
    path = folder / inspect_index(folder).files[part].name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for read in (lambda: load_index(folder, encoders), lambda: inspect_index(folder)):
        with pytest.raises(IndexArtifactError, match=rf"{path.name} has sha256 .*assistant index"):
            read()


@pytest.mark.parametrize("part", ["entries", "english", "multilingual"])
def test_a_missing_file_is_refused_by_name(folder: Path, encoders: Encoders, part: str) -> None:
    path = folder / inspect_index(folder).files[part].name
    path.unlink()
    with pytest.raises(IndexArtifactError, match=f"{path.name} cannot be read"):
        load_index(folder, encoders)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format_version=99), "format 99; this version reads 3"),
        (lambda manifest: manifest.pop("content_hash"), "wrong content_hash"),
        (lambda manifest: manifest["files"].pop("english"), "names other parts"),
        (lambda manifest: manifest["encoders"].pop("english"), "names other parts"),
        (lambda manifest: manifest["encoders"]["english"].update(dimension="many"), "wrong encoders.english.dimension"),
    ],
)
def test_a_wrong_manifest_is_refused(
    folder: Path, encoders: Encoders, change: Callable[[dict[str, object]], object], said: str
) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(IndexArtifactError, match=said) as caught:
        load_index(folder, encoders)
    assert "assistant index" in caught.value.fix


def test_a_manifest_that_is_no_json_is_refused(folder: Path, encoders: Encoders) -> None:
    (folder / MANIFEST).write_text("{", encoding="utf-8")
    with pytest.raises(IndexArtifactError, match="cannot be read"):
        load_index(folder, encoders)


def other_fingerprint() -> HashingEncoder:
    encoder = HashingEncoder("hash-multilingual")
    encoder.fingerprint = "retrained"
    return encoder


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: HashingEncoder("other"), "multilingual encoder: name hash-multilingual, not other"),
        (lambda: HashingEncoder("hash-multilingual", dimension=64), "dimension 256, not 64"),
        (other_fingerprint, "fingerprint hash-multilingual-256, not retrained"),
    ],
)
def test_an_index_of_another_encoder_is_refused(
    folder: Path, encoders: Encoders, make: Callable[[], HashingEncoder], said: str
) -> None:
    with pytest.raises(IndexArtifactError, match=rf"{said}.*assistant index"):
        load_index(folder, Encoders(encoders.english, make()))


def test_the_second_start_embeds_nothing(settings: Settings) -> None:
    first = open_or_build(settings, hashing_encoders())
    encoders = hashing_encoders()
    second = open_or_build(settings, encoders, progress=lambda done, total: pytest.fail("embedded again"))
    assert second[0].entries == first[0].entries
    assert second[1].content_hash == first[1].content_hash
    assert [encoder.num_texts for encoder in (encoders.english, encoders.multilingual)] == [0, 0]  # type: ignore[attr-defined]


def test_a_changed_entry_or_a_damaged_file_is_built_again(tmp_path: Path, root: Path, encoders: Encoders) -> None:
    settings = Settings(data_dir=tmp_path / "data", knowledge={"root": root})
    open_or_build(settings, encoders)
    path = root / "en" / "returns.md"
    path.write_text(path.read_text(encoding="utf-8").replace("30 days", "60 days"), encoding="utf-8")
    index, knowledge = open_or_build(settings, encoders)
    assert index.is_current(knowledge.content_hash)
    assert any("60 days" in entry.answer for entry in load_index(settings.index_dir, encoders).entries)
    (settings.index_dir / MANIFEST).write_text("{", encoding="utf-8")
    open_or_build(settings, encoders)
    assert inspect_index(settings.index_dir).content_hash == knowledge.content_hash


def test_after_a_change_only_its_texts_are_embedded_again(tmp_path: Path, root: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", knowledge={"root": root})
    open_or_build(settings, hashing_encoders())
    path = root / "en" / "returns.md"
    path.write_text(path.read_text(encoding="utf-8").replace("30 days", "60 days"), encoding="utf-8")
    encoders = hashing_encoders()
    open_or_build(settings, encoders)
    assert [encoder.num_texts for encoder in (encoders.english, encoders.multilingual)] == [2, 2]  # type: ignore[attr-defined]


def test_entries_come_back_with_their_tenant_and_kind(tmp_path: Path, encoders: Encoders) -> None:
    made = entry("Manual > Care", "Wipe it. Dry it.", tenant="other", kind="document")
    save_index(build_index(Knowledge.of([made], ()), encoders), tmp_path / "index")
    loaded = load_index(tmp_path / "index", encoders)
    assert loaded.entries == (made,)
    assert [(group.tenant, group.form) for group in loaded.groups] == [("other", "text")]


def test_vectors_that_do_not_fit_their_entries_are_refused(
    folder: Path, encoders: Encoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "parts_for", lambda system, entries: [])
    with pytest.raises(IndexArtifactError, match=r"does not fit its entries: 20 vectors for 0 texts.*assistant index"):
        load_index(folder, encoders)
