"""Erasing a visitor, or conversations that are too old: out of the log and out of all that was made from it.

The steps, each of which may be done again after a crash: nobody gets in any more and what runs ends; what was derived
goes first, because only the log knows which ids it has; then the log itself; then the bytes in its files.
Bounds: `BATCH` conversations at a time and `MAX_BATCHES` in one run, `MAX_ROUNDS` looks for what was still being
written, `LOCK_TIMEOUT_S` for another erasure on the same data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from filelock import AsyncFileLock, Timeout

from assistant.errors import StorageError

BATCH = 50
MAX_BATCHES = 200
MAX_ROUNDS = 3
LOCK_TIMEOUT_S = 60.0
PAUSE_S = 0.05  # between batches, for those who wait to write
LOCK = ".privacy.lock"

Reason = Literal["request", "retention"]


class Log(Protocol):
    """The conversation log, as far as erasing needs it. Every method may be called again after a crash."""

    async def begin(self, visitor_id: str) -> None:
        """Note the wish and revoke the visitor's secret; raises where there is no such visitor."""

    async def pending(self) -> list[str]:
        """The visitors whose erasure is not whole."""

    async def note(self, visitor_id: str, notes: Sequence[str]) -> list[str]:
        """Keep what has to be done beside; gives all of it."""

    async def finish(self, visitor_id: str) -> None:
        """Note that it is whole."""

    async def conversations_of(self, visitor_id: str) -> list[str]:
        """The visitor's conversations."""

    async def expired(self, before: str, *, limit: int) -> list[str]:
        """Conversations whose last event is older than this time (ISO 8601, UTC)."""

    async def ids(self, *, visitor_id: str | None = None, conversation_ids: Sequence[str] = ()) -> set[str]:
        """The ids under which other places may keep something of it."""

    async def blank(self, conversation_id: str, *, reason: Reason) -> int:
        """Make tombstones of the events; gives how many."""

    async def forget(self, *, visitor_id: str | None = None, conversation_ids: Sequence[str] = ()) -> int:
        """Delete the rows of other tables; gives how many."""

    async def forget_lapsed(self, before: str) -> int:
        """Delete identities of whom nothing is left since this time, a batch of them; gives how many rows."""

    async def scrub(self, *, rebuild: bool) -> bool:
        """Take the bytes out of the files; False where somebody still reads them."""


class Holding(Protocol):
    """A place beside the log that keeps what came from it. Blocking; all may be called again."""

    name: str

    def held(self, ids: Collection[str]) -> list[str]:
        """What it has of these: names of files, or rows with the place where they stand."""

    def advice(self, ids: Collection[str]) -> list[str]:
        """What somebody has to make anew once these are erased here."""

    def erase(self, ids: Collection[str]) -> int:
        """Erase everything that has one of the ids; gives how many rows or files."""


class Quiet(Protocol):
    """Ends what runs for a visitor: sockets and answers."""

    async def __call__(self, visitor_id: str, conversation_ids: Sequence[str]) -> None:
        """End it, and wait until it has ended."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased. Not ``is_whole``: bytes may still be in the database's files, and are looked for again."""

    num_conversations: int = 0
    num_events: int = 0
    num_rows: int = 0
    num_elsewhere: int = 0
    is_whole: bool = True
    notes: tuple[str, ...] = ()

    def as_record(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self) | {"notes": list(self.notes)}

    def __add__(self, other: Erasure) -> Erasure:
        return Erasure(
            self.num_conversations + other.num_conversations,
            self.num_events + other.num_events,
            self.num_rows + other.num_rows,
            self.num_elsewhere + other.num_elsewhere,
            self.is_whole and other.is_whole,
            tuple(dict.fromkeys([*self.notes, *other.notes])),
        )


async def nothing_runs(visitor_id: str, conversation_ids: Sequence[str]) -> None:
    """The `Quiet` of a command that works where no server runs."""


class Eraser:
    """Erases on one data folder, one erasure at a time, whichever process asks for it."""

    def __init__(self, log: Log, holdings: Sequence[Holding], *, data_dir: Path, quiet: Quiet = nothing_runs) -> None:
        self._log = log
        self._holdings = holdings
        self._data_dir = data_dir
        self._quiet = quiet

    async def erase(self, visitor_id: str) -> Erasure:
        """Erase a visitor. Doing it again does what is left. Raises `AssistantError` for an unknown one."""
        async with self._alone():
            return await self._erase(visitor_id)

    async def resume(self) -> list[str]:
        """Finish what a crash left, and what was still written while it was erased; gives whose."""
        async with self._alone():
            waiting = await self._log.pending()
            for visitor_id in waiting:
                await self._erase(visitor_id)
        return waiting

    async def retain(self, before: str) -> Erasure:
        """Erase conversations whose last event is older than this time, batch by batch; then who had them."""
        erasure = Erasure()
        async with self._alone():
            for _ in range(MAX_BATCHES):
                batch = await self._log.expired(before, limit=BATCH)
                if not batch:
                    break
                erasure += await self._erase_conversations(batch)
                await asyncio.sleep(PAUSE_S)
            erasure += await self._forget_lapsed(before)
            if erasure.num_conversations or erasure.num_rows:
                erasure = replace(erasure, is_whole=await self._log.scrub(rebuild=False))
        return erasure

    async def _forget_lapsed(self, before: str) -> Erasure:
        num_rows = 0
        for _ in range(MAX_BATCHES):
            num_now = await self._log.forget_lapsed(before)
            if not num_now:
                break
            num_rows += num_now
            await asyncio.sleep(PAUSE_S)
        return Erasure(num_rows=num_rows)

    async def _erase(self, visitor_id: str) -> Erasure:
        log = self._log
        await log.begin(visitor_id)
        await self._quiet(visitor_id, await log.conversations_of(visitor_id))
        notes, elsewhere = await self._erase_elsewhere(await log.ids(visitor_id=visitor_id), visitor_id)
        num_events = 0
        for _ in range(MAX_ROUNDS):
            theirs = await log.conversations_of(visitor_id)
            await self._quiet(visitor_id, theirs)
            num_now = sum([await log.blank(conversation_id, reason="request") for conversation_id in theirs])
            num_events += num_now
            if not num_now:
                break
        num_rows = await log.forget(visitor_id=visitor_id)
        is_whole = await log.scrub(rebuild=True)
        if is_whole:
            await log.finish(visitor_id)
        return Erasure(len(theirs), num_events, num_rows, elsewhere, is_whole, tuple(notes))

    async def _erase_elsewhere(self, ids: set[str], visitor_id: str) -> tuple[list[str], int]:
        """Erase what was derived; the advice is kept before, since afterwards nothing would show what it was."""
        advice = await asyncio.to_thread(lambda: [line for holding in self._holdings for line in holding.advice(ids)])
        notes = await self._log.note(visitor_id, advice)
        return notes, await asyncio.to_thread(lambda: sum(holding.erase(ids) for holding in self._holdings))

    async def _erase_conversations(self, batch: Sequence[str]) -> Erasure:
        ids = await self._log.ids(conversation_ids=batch)
        advice = await asyncio.to_thread(lambda: [line for holding in self._holdings for line in holding.advice(ids)])
        elsewhere = await asyncio.to_thread(lambda: sum(holding.erase(ids) for holding in self._holdings))
        num_rows = await self._log.forget(conversation_ids=batch)
        num_events = sum([await self._log.blank(conversation_id, reason="retention") for conversation_id in batch])
        return Erasure(len(batch), num_events, num_rows, elsewhere, notes=tuple(advice))

    def _alone(self) -> _Alone:
        return _Alone(self._data_dir)


class _Alone:
    """The lock of one data folder: raises `StorageError` where another erasure does not end."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = AsyncFileLock(data_dir / LOCK, timeout=LOCK_TIMEOUT_S, thread_local=False)

    async def __aenter__(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._lock.acquire()
        except Timeout as error:
            raise StorageError(
                f"Another erasure on {self._data_dir} is not done after {LOCK_TIMEOUT_S:.0f} s.", fix="Try again later."
            ) from error

    async def __aexit__(self, *_: object) -> None:
        await self._lock.release()
