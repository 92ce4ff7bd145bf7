"""What erasing works with, as the composition root puts it together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.privacy.erasure import Eraser, Holding, Log, Quiet, nothing_runs


@dataclass(frozen=True, slots=True)
class Privacy:
    """The log, the places beside it, and how long conversations are kept (0: for ever)."""

    log: Log
    holdings: Sequence[Holding]
    data_dir: Path
    retention_days: int

    async def lines(self, visitor_id: str) -> dict[str, list[str]]:
        """What lies beside the log of a visitor, by place."""
        ids = await self.log.ids(visitor_id=visitor_id)
        return {place.name: await asyncio.to_thread(place.held, ids) for place in self.holdings}

    def eraser(self, quiet: Quiet = nothing_runs) -> Eraser:
        """Who erases there; ``quiet`` ends what runs for a visitor before."""
        return Eraser(self.log, self.holdings, data_dir=self.data_dir, quiet=quiet)
