"""Follows changes of files by looking at their times and sizes, which works on every file system.

Bounds: a look every `POLL_S`, at most `MAX_SETTLING` more until the files lie still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from assistant.config import Settings
from assistant.errors import AssistantError
from assistant.faults import report
from assistant.retrieval.overlay import shelves
from assistant.retrieval.rows import is_row_file
from assistant.retrieval.sources import list_files

POLL_S = 1.0
MAX_SETTLING = 30

log = structlog.get_logger(__name__)

Snapshot = dict[Path, tuple[int, int]]
"""Each file's time of change in nanoseconds, and its size."""


async def follow(settings: Settings, on_change: Callable[[], Awaitable[None]], *, every_s: float = POLL_S) -> None:
    """Call ``on_change`` at once, and again whenever the knowledge of ``settings`` has changed; until cancelled.

    Several changes in a row are one: it waits until two looks in a row see the same. What changes while
    ``on_change`` runs is seen after it.
    """
    known = await asyncio.to_thread(take_snapshot, settings)
    await on_change()
    while True:
        await asyncio.sleep(every_s)
        seen = await asyncio.to_thread(take_snapshot, settings)
        if seen == known:
            continue
        known = await _settled(settings, seen, every_s)
        await on_change()


async def keep_current(settings: Settings, refresh: Callable[[], object], *, every_s: float = POLL_S) -> None:
    """Let a server follow the files: ``refresh`` (blocking) after each change, until cancelled.

    What cannot be taken up is logged, and the old index stays until the files change again.
    """

    async def on_change() -> None:
        try:
            await asyncio.to_thread(refresh)
        except AssistantError as error:
            log.warning("index.not_refreshed", cause=error.message)
        except Exception as error:
            report("index.refresh_broken", error)

    await follow(settings, on_change, every_s=every_s)


def take_snapshot(settings: Settings) -> Snapshot:
    """The files of all roots and overlays as they are now; what cannot be looked at is left out."""
    snapshot: Snapshot = {}
    for shelf in shelves(settings):
        for root in (shelf.root, shelf.overlay):
            files = [root] if is_row_file(root) and root.is_file() else list_files(root, [])
            for path in files:
                try:
                    stat = path.stat()
                except OSError:
                    continue
                snapshot[path] = (stat.st_mtime_ns, stat.st_size)
    return snapshot


async def _settled(settings: Settings, seen: Snapshot, every_s: float) -> Snapshot:
    for _ in range(MAX_SETTLING):
        await asyncio.sleep(every_s)
        later = await asyncio.to_thread(take_snapshot, settings)
        if later == seen:
            break
        seen = later
    return seen
