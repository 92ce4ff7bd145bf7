from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from assistant.config import Settings
from assistant.conversation.database import Database
from tests.databases import opened
from tests.privacy.shop import Shop


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = await opened(settings.log_url)
    yield database
    await database.close()


@pytest.fixture
async def shop(settings: Settings, database: Database) -> Shop:
    return Shop(settings, database)


@pytest.fixture
def held_bytes(settings: Settings) -> Callable[[str], list[str]]:
    """The files below data_dir that have these bytes, packed or not."""

    def content(path: Path) -> bytes:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()

    def held(text: str) -> list[str]:
        files = [path for path in settings.data_dir.rglob("*") if path.is_file()]
        return sorted(path.name for path in files if text.encode() in content(path))

    return held


@pytest.fixture
def own_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs in this process does not take the log lines of the server beside it."""
    monkeypatch.setattr("assistant.cli_options.set_up_logging", lambda *_, **__: None)
