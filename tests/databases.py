"""Databases for tests. Their tables are made once: a copy of the file takes a millisecond, the migrations forty."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

from sqlalchemy.engine import make_url

from assistant.conversation.database import Database


async def opened(url: str) -> Database:
    """The database at ``url``, open; where SQLite has no file there yet, a copy of one with all tables."""
    place = make_url(url)
    if place.get_backend_name() == "sqlite" and place.database and not (path := Path(place.database)).exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(_migrated(), path)
    database = Database(url)
    await database.open()
    return database


@lru_cache(maxsize=1)
def _migrated() -> Path:
    """The file that is copied, made as a server makes it; in a thread, for its own loop."""
    folder = Path(tempfile.mkdtemp(prefix="assistant-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "conversations.sqlite3"

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{path}")
        await database.open()
        await database.close()

    thread = threading.Thread(target=asyncio.run, args=(make(),))
    thread.start()
    thread.join()
    return path
