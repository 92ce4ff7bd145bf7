"""The index follows the files and the edits while it is searched."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.config import RetrievalSettings, Settings
from assistant.errors import KnowledgeError, StorageError, UnknownEntry
from assistant.retrieval import updater as updater_module
from assistant.retrieval.artifact import load_index
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import EntryKey
from assistant.retrieval.index import FaqIndex, build_index
from assistant.retrieval.overlay import load_all
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.updater import IndexUpdater
from assistant.retrieval.watching import follow, keep_current, take_snapshot
from tests.retrieval.hashing import HashingEncoder

pytestmark = pytest.mark.unit

PATIENCE_S = 10
LAMPS = "Do you repair lamps?"


class Served:
    """A retriever and its updater over a small FAQ."""

    def __init__(self, settings: Settings, encoders: Encoders) -> None:
        index = build_index(load_all(settings), encoders)
        self.settings = settings
        self.encoders = encoders
        self.retriever = FaqRetriever(index, encoders, RetrievalSettings(floor=0.01))
        self.updater = IndexUpdater(settings, encoders, self.retriever, index)

    def first(self, query: str, language: str = "en") -> tuple[str, str]:
        """Id and answer of the first hit."""
        hit = self.retriever.search(query, language=language)[0]
        return hit.passage.entry_id, hit.passage.text

    def saved(self) -> set[str]:
        return {entry.id for entry in load_index(self.settings.index_dir, self.encoders).entries}


@pytest.fixture
def served(root: Path, tmp_path: Path, encoders: Encoders) -> Served:
    return Served(Settings(data_dir=tmp_path / "data", knowledge={"root": root}), encoders)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_refresh_takes_up_what_was_added_changed_and_removed(served: Served, root: Path) -> None:
    replace(root / "en" / "returns.md", "Nothing within 30 days.", "Nothing within 60 days.")
    replace(root / "en" / "returns.md", f"## {LAMPS} {{#repair}}", "## Where is my parcel now? {#tracking}")
    changes = served.updater.refresh()
    assert changes.added == (EntryKey("", "en", "tracking"),)
    assert changes.changed == (EntryKey("", "en", "return-cost"),)
    assert changes.removed == (EntryKey("", "en", "repair"),)
    assert served.first("How much does a return cost?")[1] == "Nothing within 60 days."
    assert served.first("Where is my parcel now?")[0] == "tracking"
    assert served.saved() >= {"tracking", "return-cost"}
    record = changes.as_record()
    assert record["names"] == ["+en/tracking", "~en/return-cost", "-en/repair"]
    assert (record["num_added"], record["num_changed"], record["num_removed"]) == (1, 1, 1)


def test_only_what_is_new_is_embedded(served: Served, root: Path) -> None:
    encoder = served.encoders.multilingual
    assert isinstance(encoder, HashingEncoder)
    before = encoder.num_texts
    replace(root / "en" / "returns.md", "Nothing within 30 days.", "Nothing within 60 days.")
    served.updater.refresh()
    assert 0 < encoder.num_texts - before <= 3  # of twenty: what the one changed answer brings


def test_an_entry_that_only_moved_in_its_file_is_not_called_changed(served: Served, root: Path) -> None:
    replace(root / "en" / "returns.md", "# Returns\n", "# Returns\n\n<!-- a note -->\n")
    assert not served.updater.refresh()
    hit = served.retriever.search(LAMPS, language="en")[0].passage
    text = (root / "en" / "returns.md").read_text(encoding="utf-8")
    assert text[hit.source_start : hit.source_end] == hit.text


def test_a_refresh_without_changes_builds_and_saves_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updater_module, "build_index", None)
    monkeypatch.setattr(updater_module, "save_index", None)
    assert not served.updater.refresh()


def test_an_entry_is_put_and_replaced_and_found_at_once(served: Served) -> None:
    question = "Do you ship to Norway?"
    changes = served.updater.put_entry("en", "norway", question=question, answer=" No. ", wordings=["Norwegian orders"])
    assert changes.added == (EntryKey("", "en", "norway"),)
    assert served.first(question) == ("norway", "No.")
    changes = served.updater.put_entry("en", "norway", question=question, answer="Yes, since May.")
    assert changes.changed == (EntryKey("", "en", "norway"),)
    assert served.first(question) == ("norway", "Yes, since May.")


def test_a_chinese_entry_replaces_the_files_own_until_it_is_removed(served: Served) -> None:
    served.updater.put_entry("zh", "shop", question="有实体店吗？", answer="在上海有一家。")
    assert served.first("有实体店吗？", "zh") == ("shop", "在上海有一家。")
    assert served.updater.remove_entry("zh", "shop").removed == (EntryKey("", "zh", "shop"),)
    assert "shop" not in {hit.passage.entry_id for hit in served.retriever.search("有实体店吗？", language="zh")}
    with pytest.raises(UnknownEntry, match="no entry 'shop' in 'zh'"):
        served.updater.remove_entry("zh", "shop")


def test_a_removed_entry_can_be_put_again(served: Served) -> None:
    served.updater.remove_entry("en", "repair")
    served.updater.put_entry("en", "repair", question=LAMPS, answer="Again, yes.")
    assert served.first(LAMPS) == ("repair", "Again, yes.")


def test_the_main_brand_may_be_named(served: Served) -> None:
    served.updater.put_entry("en", "repair", question=LAMPS, answer="Named.", tenant=served.settings.tenant)
    assert served.first(LAMPS) == ("repair", "Named.")
    assert served.updater.remove_entry("en", "repair", tenant=served.settings.tenant)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lang": "english"}, "'english' is no ISO 639-1 code"),
        ({"lang": "../x"}, "is no ISO 639-1 code"),
        ({"entry_id": "two words"}, "id: String should match"),
        ({"entry_id": ""}, "has an empty id"),
        ({"question": " "}, "question: String should have at least 1 character"),
        ({"answer": "x" * 100_001}, "answer: String should have at most 100000"),
        ({"wordings": ["w"] * 101}, "wordings: Tuple should have at most 100"),
        ({"tenant": "third"}, "'third' is not in the settings"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_by_field_and_nothing_is_written(
    served: Served, changed: dict[str, object], said: str
) -> None:
    given = {"lang": "en", "entry_id": "x", "question": "Q?", "answer": "A."} | changed
    with pytest.raises(KnowledgeError) as refused:
        served.updater.put_entry(**given)  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert not (served.settings.data_dir / "knowledge_base").exists()


def test_a_failed_save_leaves_the_old_index_and_takes_the_edit_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(index: FaqIndex, folder: Path) -> None:
        raise StorageError("The disk is full.")

    served.updater.refresh()
    before = served.updater.index
    monkeypatch.setattr(updater_module, "save_index", full)
    with pytest.raises(StorageError):
        served.updater.put_entry("en", "norway", question="Norway?", answer="No.")
    monkeypatch.undo()
    assert served.updater.index is before
    assert served.first(LAMPS)[0] == "repair"
    assert not served.updater.refresh()


def test_a_root_that_is_gone_leaves_the_old_index_live(served: Served, root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(KnowledgeError, match="is not a folder"):
        served.updater.refresh()
    assert served.first(LAMPS)[0] == "repair"


def test_broken_files_are_reported_and_the_rest_is_served(served: Served, root: Path) -> None:
    (root / "en" / "broken.pdf").write_bytes(b"%PDF nothing")
    changes = served.updater.refresh()
    assert "broken.pdf" in str(changes.problems[0])
    status = served.updater.status()
    assert (status["num_entries"], status["num_problems"]) == (6, 1)
    assert status["by_language"] == {"en": 3, "zh": 3}
    assert status["by_tenant"] == {"default": 6}


def test_edits_of_many_threads_are_all_kept_while_searches_go_on(served: Served) -> None:
    failed: list[BaseException] = []

    def put(number: int) -> None:
        try:
            served.updater.put_entry("en", f"new-{number}", question=f"Question {number}?", answer=f"Answer {number}.")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert served.first(LAMPS)[0] == "repair"
    for thread in threads:
        thread.join()
    assert failed == []
    assert served.saved() >= {f"new-{number}" for number in range(6)}
    assert served.updater.index is not None
    assert len(served.updater.index.entries) == 12


def test_two_tenants_edits_stay_apart(root: Path, tmp_path: Path, encoders: Encoders) -> None:
    (tmp_path / "second.jsonl").write_text(json.dumps({"id": "a", "lang": "en", "question": "A?", "answer": "A."}))
    tenants = {"second": {"root": tmp_path / "second.jsonl"}}
    served = Served(Settings(data_dir=tmp_path / "data", knowledge={"root": root}, tenants=tenants), encoders)
    served.updater.put_entry("en", "repair", question=LAMPS, answer="Never.", tenant="second")
    assert served.first(LAMPS) == ("repair", "Yes, bring them to the workshop.")
    assert served.updater.remove_entry("en", "repair", tenant="second").removed == (EntryKey("second", "en", "repair"),)
    assert served.first(LAMPS)[0] == "repair"


class Watch:
    """`follow` in a task, and a count of its calls."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.changed = asyncio.Condition()
        self.num_calls = 0
        self.names: list[object] = []

    async def on_change(self) -> None:
        changes = await asyncio.to_thread(self.served.updater.refresh)
        async with self.changed:
            self.num_calls += 1
            self.names.append(changes.as_record()["names"])
            self.changed.notify_all()

    async def until(self, num_calls: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: self.num_calls >= num_calls)


async def test_watching_takes_up_each_change_of_any_file(served: Served, root: Path) -> None:
    watch = Watch(served)
    task = asyncio.create_task(follow(served.settings, watch.on_change, every_s=0.01))
    try:
        await watch.until(1)
        replace(root / "en" / "returns.md", "Nothing within 30 days.", "Nothing within 60 days.")
        await watch.until(2)
        (root / "zh" / "new.jsonl").write_text(json.dumps({"id": "n", "question": "新的？", "answer": "是。"}))
        await watch.until(3)
        (root / "zh" / "new.jsonl").unlink()
        await watch.until(4)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watch.names == [[], ["~en/return-cost"], ["+zh/n"], ["-zh/n"]]


async def test_watching_sees_a_change_that_came_while_it_refreshed(served: Served, root: Path) -> None:
    watch = Watch(served)

    async def on_change() -> None:
        await watch.on_change()
        if watch.num_calls == 1:
            (root / "en" / "late.jsonl").write_text(json.dumps({"id": "late", "question": "Late?", "answer": "Yes."}))

    task = asyncio.create_task(follow(served.settings, on_change, every_s=0.01))
    try:
        await watch.until(2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watch.names == [[], ["+en/late"]]


async def test_a_server_that_follows_the_files_outlives_whatever_goes_wrong(served: Served, root: Path) -> None:
    watch = Watch(served)
    loop = asyncio.get_running_loop()
    errors = iter([KnowledgeError("The folder is gone."), RuntimeError("a bug")])

    def refresh() -> None:
        asyncio.run_coroutine_threadsafe(watch.on_change(), loop).result(PATIENCE_S)
        if error := next(errors, None):
            raise error

    task = asyncio.create_task(keep_current(served.settings, refresh, every_s=0.01))
    try:
        for number in range(1, 4):
            await watch.until(number)
            (root / "en" / f"{number}.jsonl").write_text(
                json.dumps({"id": f"{number}", "question": f"Question {number}?", "answer": "A."})
            )
        await watch.until(4)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watch.names == [[], ["+en/1"], ["+en/2"], ["+en/3"]]


async def test_watching_waits_until_the_files_lie_still(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([{}, {"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}])
    seen: list[str] = []
    ended = asyncio.Event()

    def look(settings: Settings) -> object:
        seen.append("look")
        return next(looks, {"a": 3})

    async def on_change() -> None:
        seen.append("call")
        if seen.count("call") == 2:
            ended.set()

    monkeypatch.setattr("assistant.retrieval.watching.take_snapshot", look)
    task = asyncio.create_task(follow(served.settings, on_change, every_s=0.001))
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen[:7] == ["look", "call", "look", "look", "look", "look", "call"]


Touch = Callable[[Path], object]


@pytest.mark.parametrize(
    "touch",
    [
        lambda root: (root / "en" / "returns.md").unlink(),
        lambda root: (root / "en" / "new.pdf").write_bytes(b"x"),
        lambda root: os.utime(root / "en" / "returns.md", ns=(1, 1)),
        lambda root: (
            (root.parent / "data" / "knowledge_base" / "en").mkdir(parents=True)
            or (root.parent / "data" / "knowledge_base" / "en" / "edits.jsonl").write_text("{}")
        ),
    ],
)
def test_every_change_of_a_file_is_seen_and_nothing_else(served: Served, root: Path, touch: Touch) -> None:
    before = take_snapshot(served.settings)
    (root / "en" / ".returns.md.swp").write_text("an editor's own file")
    (root / "en" / "picture.png").write_bytes(b"x")
    assert take_snapshot(served.settings) == before
    touch(root)
    assert take_snapshot(served.settings) != before
