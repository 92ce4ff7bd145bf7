"""Files that customers send: announced first, then stored once under a token of their own, erased with their visitor.

The bytes lie in one folder, named by the upload's id and nothing a customer chose. Bounds: `MAX_OPEN` announced uploads
a visitor at a time, and the quotas given. A crash leaves at worst a file that `sweep` removes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.attachment_tables import uploads
from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId, VisitorId, new_id
from assistant.errors import StorageError

TTL_S = 300
UNUSED_S = 2 * TTL_S  # after which nobody begins to send what was announced
DAY_S = 86_400.0
STALE_S = 3_600.0  # no upload runs this long: what is unfinished then will stay so
MAX_OPEN = 5
MAX_IDS = 500  # in one query
MIB = 1_048_576

State = Literal["open", "stored"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as announced, and once its bytes came their ``sha256`` and the ``seq`` of its event."""

    upload_id: str
    conversation_id: ConversationId
    visitor_id: VisitorId
    tenant: str
    name: str
    media_type: str
    bytes: int
    token_hash: str
    state: State
    created_at: str
    sha256: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """How much one visitor may send in 24 hours, and all of them together."""

    visitor_bytes: int
    visitor_files: int
    total_bytes: int


class QuotaExceeded(Exception):
    """The visitor has sent enough for today, or has too many uploads open."""


class Attachments:
    """The uploads' rows and files. Several processes may share the database and the folder."""

    def __init__(self, database: Database, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock

    async def announce(
        self,
        *,
        conversation_id: ConversationId,
        visitor_id: VisitorId,
        tenant: str,
        name: str,
        media_type: str,
        num_bytes: int,
        quota: Quota,
    ) -> tuple[Upload, str]:
        """A place for one file, and the token that lets its bytes in for `TTL_S` seconds.

        Raises `QuotaExceeded`, and `StorageError` where all files together take too much room.
        """
        token = secrets.token_urlsafe(32)
        place = (new_id("u"), conversation_id, visitor_id, tenant)
        upload = Upload(*place, name, media_type, num_bytes, _digest(token), "open", self._at())
        async with self._database.writing() as connection:
            await self._refuse_full(connection, num_bytes, quota)
            await self._refuse_excess(connection, upload, quota)
            await connection.execute(insert(uploads).values(_values(upload)))
        return upload, token

    async def find(self, upload_id: str) -> Upload | None:
        """The upload with this id."""
        found = await self._read(select(uploads).where(uploads.c.upload_id == upload_id))
        return found[0] if found else None

    def admits(self, upload: Upload, token: str) -> bool:
        """Whether this is the upload's token, and not too late. Takes the same time for every wrong one."""
        is_late = upload.state == "open" and upload.created_at < self._at(-TTL_S)
        return hmac.compare_digest(upload.token_hash, _digest(token)) and not is_late

    def path(self, upload_id: str) -> Path:
        """Where an upload's bytes lie once they are stored."""
        return self._folder / upload_id[-2:] / upload_id

    def partial_path(self, upload_id: str) -> Path:
        """A place for bytes that are still coming. Blocking."""
        folder = self._folder / "partial"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{upload_id}.{secrets.token_hex(8)}"

    async def keep(self, upload: Upload, partial: Path, *, sha256: str) -> bool:
        """Make a whole and checked file the upload's, durably; False where it was erased or stored meanwhile."""
        await asyncio.to_thread(_move, partial, self.path(upload.upload_id))
        this = (uploads.c.upload_id == upload.upload_id) & (uploads.c.state == "open")
        async with self._database.writing() as connection:
            done = await connection.execute(update(uploads).where(this).values(state="stored", sha256=sha256))
        if done.rowcount == 1:
            return True
        if await self.find(upload.upload_id) is None:
            await asyncio.to_thread(self._remove, [upload.upload_id])
        return False

    async def set_seq(self, upload_id: str, seq: int) -> None:
        """The upload's event is in the log."""
        async with self._database.writing() as connection:
            this = uploads.c.upload_id == upload_id
            await connection.execute(update(uploads).where(this).values(seq=seq))

    async def erase_uploads(self, conversation_ids: Collection[ConversationId]) -> int:
        """Remove the files and rows of these conversations; gives how many. Safe to repeat after a crash."""
        chosen = uploads.c.conversation_id.in_(conversation_ids)
        gone = [upload.upload_id for upload in await self._read(select(uploads).where(chosen))]
        await asyncio.to_thread(self._remove, gone)
        async with self._database.writing() as connection:
            await connection.execute(delete(uploads).where(chosen))
        return len(gone)

    async def sweep(self) -> int:
        """Remove uploads that were announced and never finished, and files nobody knows; gives how many."""
        gone = await self._unfinished()
        await asyncio.to_thread(self._remove, gone)
        async with self._database.writing() as connection:
            for start in range(0, len(gone), MAX_IDS):
                these = uploads.c.upload_id.in_(gone[start : start + MAX_IDS])
                await connection.execute(delete(uploads).where(these, uploads.c.seq.is_(None)))
        num_files = 0
        for folder in await asyncio.to_thread(self._folders):
            num_files += await self._sweep_folder(folder)
        return len(gone) + num_files

    async def _unfinished(self) -> list[str]:
        """The uploads whose bytes will not come any more, or whose event did not for a day."""
        row = uploads.c
        is_late = (row.state == "open") & (row.created_at < self._at(-UNUSED_S)) | (row.created_at < self._at(-DAY_S))
        late = [upload.upload_id for upload in await self._read(select(uploads).where(row.seq.is_(None), is_late))]
        coming = await asyncio.to_thread(self._coming)
        return [upload_id for upload_id in late if upload_id not in coming]

    async def _sweep_folder(self, folder: Path) -> int:
        old, num_files = await asyncio.to_thread(self._old_files, folder), 0
        for start in range(0, len(old), MAX_IDS):
            page = {path.name: path for path in old[start : start + MAX_IDS]}
            known = await self._read(select(uploads).where(uploads.c.upload_id.in_(page)))
            orphans = [path for name, path in page.items() if name not in {upload.upload_id for upload in known}]
            await asyncio.to_thread(_unlink, orphans)
            num_files += len(orphans)
        return num_files

    async def _refuse_excess(self, connection: AsyncConnection, upload: Upload, quota: Quota) -> None:
        row, mine = uploads.c, uploads.c.visitor_id == upload.visitor_id
        today = select(func.count(), func.coalesce(func.sum(row.bytes), 0)).where(mine, self._takes_room())
        num_files, num_bytes = (await connection.execute(today.where(row.created_at > self._at(-DAY_S)))).one()
        if num_files >= quota.visitor_files or num_bytes + upload.bytes > quota.visitor_bytes:
            limits = f"{quota.visitor_files} files and {quota.visitor_bytes // MIB} MB"
            raise QuotaExceeded(f"A visitor may send {limits} in 24 hours.")
        waiting = select(func.count()).where(mine, row.state == "open", row.created_at > self._at(-TTL_S))
        if (await connection.execute(waiting)).scalar_one() >= MAX_OPEN:
            raise QuotaExceeded(f"{MAX_OPEN} uploads are under way already.")

    async def _refuse_full(self, connection: AsyncConnection, num_bytes: int, quota: Quota) -> None:
        held = select(func.coalesce(func.sum(uploads.c.bytes), 0)).where(self._takes_room())
        total = (await connection.execute(held)).scalar_one()
        if total + num_bytes > quota.total_bytes:
            raise StorageError(
                f"All uploads together may take {quota.total_bytes // MIB} MB, and do.",
                fix="Raise [uploads] total_mb, or erase conversations that are old.",
            )

    def _takes_room(self) -> ColumnElement[bool]:
        """What lies here or may still come; an announcement that was not used in time is worth nothing."""
        return (uploads.c.state == "stored") | (uploads.c.created_at > self._at(-TTL_S))

    async def _read(self, query: Select[tuple[object, ...]]) -> list[Upload]:
        async with self._database.reading() as connection:
            return [_upload(row) for row in (await connection.execute(query)).all()]

    def _at(self, delay_s: float = 0.0) -> str:
        moment = datetime.fromtimestamp(self._clock() + delay_s, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _remove(self, upload_ids: Collection[str]) -> None:
        _unlink([self.path(upload_id) for upload_id in upload_ids])

    def _folders(self) -> list[Path]:
        return [folder for folder in self._folder.glob("*") if folder.is_dir()]

    def _coming(self) -> set[str]:
        """The uploads of which bytes come in just now, in whichever process."""
        partial = self._folder / "partial"
        recent = self._clock() - STALE_S
        return {path.name.partition(".")[0] for path in partial.glob("*") if path.stat().st_mtime >= recent}

    def _old_files(self, folder: Path) -> list[Path]:
        return [path for path in folder.iterdir() if path.stat().st_mtime < self._clock() - STALE_S]


def _unlink(paths: Collection[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _move(partial: Path, path: Path) -> None:
    """Rename a file whose bytes are on the disk, and put the name on the disk as well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.replace(path)
        for folder in (path.parent, path.parent.parent):
            _sync(folder)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", fix="Free some space there.") from error


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _values(upload: Upload) -> dict[str, str | int | None]:
    return {field.name: getattr(upload, field.name) for field in fields(Upload)}


def _upload(row: Row[tuple[object, ...]]) -> Upload:
    return Upload(**{field.name: getattr(row, field.name) for field in fields(Upload)})
