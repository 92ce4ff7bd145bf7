"""``assistant privacy``: what is held about a visitor, and erasing it, by the running server if there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote

from assistant import running
from assistant.config import Settings
from assistant.conversation.bus import Bus
from assistant.conversation.database import Database
from assistant.conversation.erasure import ErasableLog
from assistant.conversation.holdings import VisitorRecords
from assistant.errors import ConfigError
from assistant.privacy.curated import CuratedTexts
from assistant.privacy.data_sets import DataSets
from assistant.privacy.erasure import Eraser, Erasure
from assistant.privacy.export import Export
from assistant.privacy.kept_files import KeptFiles
from assistant.privacy.parts import Privacy
from assistant.privacy.retention import cutoff

ADMIN_PATH = "/v1/admin/privacy"


def privacy_of(settings: Settings, database: Database, bus: Bus) -> Privacy:
    """The log and every place beside it where something of a visitor may lie."""
    adapters = [settings.data_dir / "adapters", *([settings.generation.adapter] if settings.generation.adapter else [])]
    curated = [settings.data_dir / "knowledge_base", settings.data_dir / "tenants"]
    holdings = (
        DataSets(settings.data_dir, apart=[settings.index_dir, settings.uploads_dir, *curated], trained=adapters),
        KeptFiles(settings.uploads_dir),
        CuratedTexts(curated),
    )
    return Privacy(ErasableLog(database, bus), holdings, settings.data_dir, settings.privacy.retention_days)


class Erasing:
    """The commands' work. A server that runs does it itself, since it has sockets and answers to end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def erase(self, visitor_id: str) -> Mapping[str, object]:
        """Erase a visitor; gives `Erasure.as_record`. Raises `AssistantError`."""
        server = running.find(self._settings.data_dir)
        if server is not None:
            return running.call(server, "DELETE", f"{ADMIN_PATH}/visitors/{quote(visitor_id, safe='')}")
        return await self._here(lambda eraser: eraser.erase(visitor_id))

    async def retain(self) -> Mapping[str, object]:
        """Erase what is too old; gives `Erasure.as_record`. Raises `AssistantError`."""
        days = self.retention_days
        server = running.find(self._settings.data_dir)
        if server is not None:
            return running.call(server, "POST", f"{ADMIN_PATH}/retention")
        return await self._here(lambda eraser: eraser.retain(cutoff(days)))

    async def num_expired(self) -> int:
        """How many conversations are too old. Raises `AssistantError`."""
        before = cutoff(self.retention_days)
        async with self._database() as database:
            return await ErasableLog(database, Bus()).num_expired(before)

    @property
    def retention_days(self) -> int:
        """How long conversations are kept. Raises `ConfigError` where that is for ever."""
        if not self._settings.privacy.retention_days:
            raise ConfigError(
                "Conversations are kept for ever: [privacy] retention_days is 0.", fix="Set it to a number of days."
            )
        return self._settings.privacy.retention_days

    async def export(self, visitor_id: str, write: Callable[[str], object]) -> int:
        """Write everything held about a visitor as one JSON object; gives the number of conversations.

        What is stored is read beside a running server; what it has only in memory it is asked for.
        """
        server = running.find(self._settings.data_dir)
        alive: Mapping[str, object] = {}
        if server is not None:
            alive = running.call(server, "GET", f"{ADMIN_PATH}/visitors/{quote(visitor_id, safe='')}")
        async with self._database() as database:
            export = Export(VisitorRecords(database), privacy_of(self._settings, database, Bus()))
            at = datetime.now(UTC).isoformat(timespec="seconds")
            return await export.write(visitor_id, write, alive=alive, at=at)

    async def _here(self, work: Callable[[Eraser], Awaitable[Erasure]]) -> Mapping[str, object]:
        async with self._database() as database:
            eraser = privacy_of(self._settings, database, Bus()).eraser()
            return (await work(eraser)).as_record()

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        database = Database(self._settings.log_url)
        await database.open()
        try:
            yield database
        finally:
            await database.close()
