"""Everything that is held about one visitor, as JSON: what they may ask for, and nothing that lets anybody in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

FORMAT = 1


class Records(Protocol):
    """What the log's database holds about visitors, without secrets."""

    async def visitor(self, visitor_id: str) -> dict[str, object]:
        """The visitor; raises where there is none of this id."""

    def conversations(self, visitor_id: str) -> AsyncIterator[dict[str, object]]:
        """Each conversation with its events."""

    async def other_rows(self, visitor_id: str) -> dict[str, list[dict[str, object]]]:
        """The rows of other tables that name the visitor, by table."""


class Places(Protocol):
    """Where else something may lie."""

    async def lines(self, visitor_id: str) -> dict[str, list[str]]:
        """The rows of data sets and the names of files, by kind."""


class Export:
    """Writes piece by piece, a conversation at a time, since there may be many."""

    def __init__(self, records: Records, places: Places) -> None:
        self._records = records
        self._places = places

    async def write(
        self, visitor_id: str, write: Callable[[str], object], *, alive: Mapping[str, object], at: str
    ) -> int:
        """Write one JSON object; gives the number of conversations. Raises where there is no such visitor."""
        visitor = await self._records.visitor(visitor_id)
        write(f'{{"format": {FORMAT}, "exported_at": {json.dumps(at)}, "visitor": {_json(visitor)},\n')
        write(f'"in_memory": {_json(dict(alive))},\n')
        write(f'"rows": {_json(await self._records.other_rows(visitor_id))},\n')
        write(f'"elsewhere": {_json(await self._places.lines(visitor_id))},\n')
        write('"conversations": [')
        num_conversations = 0
        async for conversation in self._records.conversations(visitor_id):
            write((",\n" if num_conversations else "\n") + _json(conversation))
            num_conversations += 1
        write("\n]}\n")
        return num_conversations


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
