"""What erases by itself in a running server: conversations that are too old, and erasures that were broken off.

Every hour, give or take a tenth, so that several servers do not all begin at once; and a minute after each erasure,
because a token that was given out before may have opened one more socket.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from assistant.faults import report
from assistant.privacy.erasure import Eraser, Erasure

EVERY_S = 3600.0
JITTER = 0.1
FIRST_AFTER_S = 30.0
LOOK_AGAIN_S = 60.0
DAY_S = 86_400
MAX_TOLD = 20

log = structlog.get_logger()


def cutoff(days: int, *, clock: Callable[[], float] = time.time) -> str:
    """The time before which conversations are too old, in the log's notation (ISO 8601, UTC)."""
    moment = datetime.fromtimestamp(clock() - days * DAY_S, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Retention:
    """The job. ``days`` 0 keeps conversations; broken-off erasures are finished all the same."""

    def __init__(self, eraser: Eraser, *, days: int, clock: Callable[[], float] = time.time) -> None:
        self._eraser = eraser
        self._days = days
        self._clock = clock
        self._asked = asyncio.Event()

    def look_again_soon(self) -> None:
        """Come by in a minute."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled. A run that fails is reported, and the next one comes all the same."""
        await asyncio.sleep(FIRST_AFTER_S * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  (no secret)
        while True:
            try:
                await self.run_once()
            except Exception as error:  # whatever broke, the next hour has to come
                report("retention_failed", error)
            await self._until_next()

    async def run_once(self) -> Erasure:
        """Finish what was broken off, and erase what is too old."""
        resumed = await self._eraser.resume()
        erased = await self._eraser.retain(cutoff(self._days, clock=self._clock)) if self._days else Erasure()
        if resumed or erased.num_conversations or erased.num_rows:
            log.info(
                "retention",
                visitors_resumed=len(resumed),
                conversations=erased.num_conversations,
                events=erased.num_events,
                rows=erased.num_rows,
                elsewhere=erased.num_elsewhere,
                whole=erased.is_whole,
                to_do=list(erased.notes[:MAX_TOLD]),
            )
        return erased

    async def _until_next(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S * random.uniform(1 - JITTER, 1 + JITTER)):  # noqa: S311  (no secret)
                await self._asked.wait()
        except TimeoutError:
            return
        self._asked.clear()
        await asyncio.sleep(LOOK_AGAIN_S)
