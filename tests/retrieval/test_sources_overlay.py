"""What is served: the main root, the edits over it, and the further tenants."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.config import Settings, load
from assistant.errors import KnowledgeError, StorageError
from assistant.retrieval.overlay import load_all, source_path, write_edit
from assistant.retrieval.sources import EntryKey, read_source

pytestmark = pytest.mark.unit

Serve = Callable[..., Settings]


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    return tmp_path / "data" / "knowledge_base"


@pytest.fixture
def served(root: Path, tmp_path: Path) -> Settings:
    """Two brands: the demo's and one that has a single file."""
    row = {"id": "return-item", "lang": "en", "question": "May I return it?", "answer": "Never."}
    (tmp_path / "second.jsonl").write_text(json.dumps(row), encoding="utf-8")
    tenants = {"second": {"root": tmp_path / "second.jsonl"}}
    return Settings(data_dir=tmp_path / "data", knowledge={"root": root}, tenants=tenants)


def answers(settings: Settings) -> dict[EntryKey, str]:
    return {entry.key: entry.answer for entry in load_all(settings).entries}


def test_every_tenant_has_its_own_entry_of_the_same_id(served: Settings) -> None:
    found = answers(served)
    assert len(found) == 7
    assert found[EntryKey("second", "en", "return-item")] == "Never."
    assert found[EntryKey("", "en", "return-item")].startswith("Log in")


def test_an_entry_over_the_root_replaces_it_and_others_join(served: Settings, overlay: Path) -> None:
    (overlay / "en").mkdir(parents=True)
    text = "# Returns\n\n## Cost? {#return-cost}\n\nFive euros.\n\n## New? {#new}\n\nYes.\n"
    (overlay / "en" / "more.md").write_text(text, encoding="utf-8")
    found = answers(served)
    assert len(found) == 8
    assert found[EntryKey("", "en", "return-cost")] == "Five euros."
    assert found[EntryKey("", "zh", "return-cost")] == "30 天内免费。"
    assert found[EntryKey("", "en", "new")] == "Yes."


def test_edits_win_over_everything_and_a_removed_row_takes_away(served: Settings, overlay: Path) -> None:
    (overlay / "en").mkdir(parents=True)
    (overlay / "en" / "more.md").write_text("# R\n\n## Cost? {#return-cost}\n\nFive euros.\n", encoding="utf-8")
    write_edit(overlay, "en", {"id": "return-cost", "lang": "en", "question": "Cost?", "answer": "Six euros."})
    write_edit(overlay, "en", {"id": "repair", "lang": "en", "removed": True})
    found = answers(served)
    assert found[EntryKey("", "en", "return-cost")] == "Six euros."
    assert EntryKey("", "en", "repair") not in found
    assert load_all(served).problems == ()


def test_of_a_document_in_another_version_nothing_old_remains(served: Settings, root: Path, overlay: Path) -> None:
    for folder, sections in ((root, ("Old", "Both")), (overlay, ("Both", "New"))):
        path = folder / "en" / "documents" / "terms.md"
        path.parent.mkdir(parents=True)
        text = "".join(f"## {section}\n\n{f'A sentence of the {section} chapter. ' * 3}\n\n" for section in sections)
        path.write_text(text, encoding="utf-8")
    found = [entry for entry in load_all(served).entries if entry.kind == "document"]
    assert [entry.question for entry in found] == ["terms › Both", "terms › New"]
    assert {entry.source for entry in found} == {"overlay/en/documents/terms.md"}


def test_an_edit_replaces_the_one_before_and_can_be_undone(overlay: Path) -> None:
    path = overlay / "zh" / "edits.jsonl"
    write_edit(overlay, "zh", {"id": "a", "answer": "一"})
    write_edit(overlay, "zh", {"id": "b", "answer": "x\u2028y"})
    undo = write_edit(overlay, "zh", {"id": "a", "answer": "二"})
    assert [json.loads(line)["answer"] for line in path.read_text("utf-8").strip().split("\n")] == ["x\u2028y", "二"]
    undo()
    assert [json.loads(line)["answer"] for line in path.read_text("utf-8").strip().split("\n")] == ["一", "x\u2028y"]


def test_an_edit_that_cannot_be_written_changes_nothing(overlay: Path) -> None:
    overlay.parent.mkdir(parents=True)
    overlay.write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="Nothing was changed"):
        write_edit(overlay, "en", {"id": "a"})


def test_a_broken_line_among_the_edits_is_kept_and_reported(served: Settings, overlay: Path) -> None:
    path = overlay / "en" / "edits.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("{broken\n", encoding="utf-8")
    write_edit(overlay, "en", {"id": "new", "lang": "en", "question": "Q?", "answer": "A."})
    assert path.read_text("utf-8").startswith("{broken\n")
    assert [str(problem) for problem in load_all(served).problems if "edits.jsonl:1:" in str(problem)]
    assert EntryKey("", "en", "new") in answers(served)


def test_the_tenants_edits_are_their_own(served: Settings, tmp_path: Path) -> None:
    overlay = tmp_path / "data" / "tenants" / "second" / "knowledge_base"
    write_edit(overlay, "en", {"id": "return-item", "lang": "en", "question": "Q?", "answer": "Perhaps."})
    found = answers(served)
    assert found[EntryKey("second", "en", "return-item")] == "Perhaps."
    assert found[EntryKey("", "en", "return-item")].startswith("Log in")


def test_a_source_leads_to_the_file_whoever_the_entry_belongs_to(served: Settings, overlay: Path) -> None:
    write_edit(overlay, "en", {"id": "new", "lang": "en", "question": "Q?", "answer": "A\n\nB."})
    for entry in load_all(served).entries:
        text = read_source(source_path(served, entry.source, tenant=entry.tenant))
        assert text[entry.source_start : entry.source_end] == entry.answer


def test_any_change_anywhere_changes_the_hash(served: Settings, overlay: Path, tmp_path: Path) -> None:
    hashes = [load_all(served).content_hash]
    write_edit(overlay, "en", {"id": "repair", "lang": "en", "removed": True})
    hashes.append(load_all(served).content_hash)
    (tmp_path / "second.jsonl").write_text(json.dumps({"lang": "en", "question": "Q?", "answer": "A"}))
    hashes.append(load_all(served).content_hash)
    assert len(set(hashes)) == 3


def test_a_tenant_without_entries_is_a_problem_and_the_others_are_served(served: Settings, tmp_path: Path) -> None:
    (tmp_path / "second.jsonl").write_text("")
    knowledge = load_all(served)
    assert len(knowledge.entries) == 6
    assert "second.jsonl holds no entry" in str(knowledge.problems[0])


def test_a_root_that_is_gone_is_an_error_so_that_nothing_is_lost(served: Settings, tmp_path: Path) -> None:
    (tmp_path / "second.jsonl").unlink()
    with pytest.raises(KnowledgeError, match=r"second\.jsonl is not a folder"):
        load_all(served)


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    with pytest.raises(KnowledgeError, match="kb holds no entry"):
        load_all(Settings(data_dir=tmp_path, knowledge={"root": tmp_path / "kb"}))


def test_an_unknown_tenant_is_named(served: Settings) -> None:
    with pytest.raises(KnowledgeError, match=r"'third' is not in the settings.*'second'"):
        source_path(served, "en/x.md", tenant="third")


def test_a_tenants_root_in_the_settings_file_is_meant_from_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "assistant.toml"
    path.write_text("[tenants.second]\nroot = 'second.jsonl'\n", encoding="utf-8")
    assert load(path).tenants["second"].root == tmp_path / "second.jsonl"
