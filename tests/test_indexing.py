"""`assistant index`: here under a lock, or through the server that runs."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from assistant import indexing, running
from assistant.cli import app as command_line
from assistant.config import RetrievalSettings, Settings
from assistant.conversation.database import Database
from assistant.gateway.app import make_app
from assistant.gateway.knowledge import Admin
from assistant.indexing import Indexing
from assistant.retrieval.artifact import load_index
from assistant.retrieval.embedding import Encoders
from assistant.retrieval.index import build_index
from assistant.retrieval.overlay import load_all
from assistant.retrieval.retriever import FaqRetriever
from assistant.retrieval.updater import IndexUpdater
from tests.gateway.rig import PATIENCE_S, ScriptedResponder, build_parts
from tests.retrieval.hashing import hashing_encoders

pytestmark = pytest.mark.unit

FAQ = "# Lamps\n\n## Do you repair lamps? {#repair}\n\nYes.\n\n## Do you sell bulbs? {#bulbs}\n\nNo.\n"


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> Encoders:
    """Encoders without models, also for whoever loads the settings' own."""
    encoders = hashing_encoders()
    monkeypatch.setattr(indexing, "load_encoders", lambda settings: encoders)
    monkeypatch.setattr(indexing.models, "BUILT_IN", {})
    return encoders


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kb" / "en" / "lamps.md"
    path.parent.mkdir(parents=True)
    path.write_text(FAQ, encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path: Path, file: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", knowledge={"root": tmp_path / "kb"})


@pytest.fixture
async def retriever(settings: Settings, encoders: Encoders) -> AsyncIterator[FaqRetriever]:
    """What a running server searches; it has announced itself."""
    database = Database(settings.log_url)
    await database.open()
    index = build_index(load_all(settings), encoders)
    retriever = FaqRetriever(index, encoders, RetrievalSettings(floor=0.01))
    admin = Admin(running.new_admin_key(), IndexUpdater(settings, encoders, retriever, index))
    parts, manager = build_parts(settings, database, ScriptedResponder(), [])
    server = TestServer(make_app(dataclasses.replace(parts, admin=admin)), host="127.0.0.1")
    await server.start_server(access_log=None)
    url = f"http://{server.host}:{server.port}"
    running.announce(settings.data_dir, url=url, admin_key=admin.key)
    yield retriever
    running.withdraw(settings.data_dir, admin_key=admin.key)
    await server.close()
    await manager.close()
    await database.close()


def sell_bulbs(file: Path) -> None:
    file.write_text(FAQ.replace("No.", "Some."), encoding="utf-8")


def test_without_a_server_the_index_is_built_here(settings: Settings, encoders: Encoders, file: Path) -> None:
    work = Indexing(settings)
    first = work.refresh()
    assert first.total == f"2 entries (2 en) in {settings.index_dir}"
    assert first.summary == "2 added, 0 changed, 0 removed; 2 entries  +en/repair +en/bulbs"
    sell_bulbs(file)
    assert work.refresh().summary == "0 added, 1 changed, 0 removed; 2 entries  ~en/bulbs"
    assert {entry.answer for entry in load_index(settings.index_dir, encoders).entries} == {"Yes.", "Some."}
    assert Indexing(settings).refresh().summary == "0 added, 0 changed, 0 removed; 2 entries"


async def test_a_running_server_takes_the_change_up_without_a_restart(
    settings: Settings, retriever: FaqRetriever, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "load_encoders", None)  # the command must not need them
    sell_bulbs(file)
    outcome = await asyncio.to_thread(Indexing(settings).refresh)
    assert outcome.summary == "0 added, 1 changed, 0 removed; 2 entries  ~en/bulbs"
    assert "2 entries (2 en) in the server at http://127.0.0.1:" in outcome.total
    assert retriever.search("Do you sell bulbs?", language="en")[0].passage.text == "Some."


async def test_watching_tells_every_change_in_one_line(settings: Settings, encoders: Encoders, file: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(Indexing(settings).watch(told.put_nowait, every_s=0.01))
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert (await told.get()).startswith("2 added, 0 changed, 0 removed; 2 entries")
            row = json.dumps({"id": "n", "question": "New?", "answer": "Yes."})
            (file.parent / "more.jsonl").write_text(f"{row}\n{{")
            assert await told.get() == "1 added, 0 changed, 0 removed; 3 entries  +en/n"
            assert "more.jsonl:2:" in await told.get()
            file.parent.rename(file.parent.with_name("gone"))
            assert (await told.get()).startswith("not taken up: ")
            (file.parent.parent / "gone").rename(file.parent)
            assert await told.get() == "0 added, 0 changed, 0 removed; 3 entries"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_command_says_what_there_is_and_what_was_left_out(
    settings: Settings, encoders: Encoders, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "assistant.cli_options.set_up_logging", lambda level, phone_regions: None
    )  # it would log to a closed stream
    monkeypatch.setenv("ASSISTANT_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("ASSISTANT_KNOWLEDGE__ROOT", str(settings.knowledge.root))
    assert CliRunner().invoke(command_line, ["index"]).exit_code == 0
    (file.parent / "broken.pdf").write_bytes(b"%PDF nothing")
    os.utime(file)
    result = CliRunner().invoke(command_line, ["index"])
    assert result.exit_code == 1
    assert "2 entries (2 en)" in result.output
    assert "broken.pdf: it is no PDF that can be read" in result.output
