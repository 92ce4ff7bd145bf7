"""The conversations as a list for the people who answer: where each stands, and who wrote last.

Bounds: `MAX_LISTED` conversations at a time; what the assistant has, or what is closed, is listed for `RECENT_S`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, or_, select

from assistant.conversation.agents_tables import agents
from assistant.conversation.database import Database
from assistant.conversation.events import Author, ConversationId, Mode
from assistant.conversation.tables import conversations, events

MAX_LISTED = 500
RECENT_S = 86_400.0
ORDER: tuple[Mode, ...] = ("waiting", "human", "bot", "closed")


@dataclass(frozen=True, slots=True)
class Summary:
    """One conversation in the list.

    ``assignee`` is the id of the person who has it, ``assignee_name`` their name; it is in its mode since
    ``mode_since``.
    """

    conversation_id: ConversationId
    tenant: str
    locale: str
    mode: Mode
    mode_since: str
    assignee: str | None
    assignee_name: str | None
    epoch: int
    last_position: int
    last_author: Author | None
    last_message_ts: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A conversation to which something happened: enough to tell whether that is news."""

    conversation_id: ConversationId
    mode: Mode
    epoch: int
    last_position: int
    updated_at: str


class Overview:
    """Reads the list; every process sees the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, *, limit: int = MAX_LISTED) -> list[Summary]:
        """Who waits, the longest first; who is being helped, what the assistant has and what is closed, by news."""
        rank = case({mode: number for number, mode in enumerate(ORDER)}, value=conversations.c.mode)
        waiting_since = case((conversations.c.mode == "waiting", _mode_since()))
        chosen = _summaries().where(_is_listed())
        return await self._read(
            chosen.order_by(rank, waiting_since, conversations.c.updated_at.desc()).limit(min(limit, MAX_LISTED))
        )

    async def moved_since(self, moment: str) -> list[Moved]:
        """What changed at or after a time as in ``Event.ts``, the newest first and `MAX_LISTED` at most."""
        columns = [conversations.c[name] for name in Moved.__slots__]
        changed = select(*columns).where(conversations.c.updated_at >= moment)
        async with self._database.reading() as connection:
            newest = changed.order_by(conversations.c.updated_at.desc()).limit(MAX_LISTED)
            return [Moved(*row) for row in await connection.execute(newest)]

    async def of(self, conversation_ids: Sequence[ConversationId]) -> list[Summary]:
        """These conversations, as they stand now."""
        return await self._read(_summaries().where(conversations.c.conversation_id.in_(conversation_ids)))

    async def counts(self) -> dict[Mode, int]:
        """How many listed conversations are in each mode."""
        query = select(conversations.c.mode, func.count()).where(_is_listed()).group_by(conversations.c.mode)
        async with self._database.reading() as connection:
            found = {row[0]: row[1] for row in await connection.execute(query)}
        return {mode: found.get(mode, 0) for mode in ORDER}

    async def _read(self, query: Select[Any]) -> list[Summary]:
        async with self._database.reading() as connection:
            return [_summary(row) for row in (await connection.execute(query)).all()]


def ago(seconds: float) -> str:
    """A past moment, as the log writes them."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_listed() -> ColumnElement[bool]:
    is_recent = conversations.c.updated_at >= ago(RECENT_S)
    return or_(conversations.c.mode.in_(("waiting", "human")), is_recent)


def _summaries() -> Select[Any]:
    said = events.alias("said")
    last = (
        select(func.max(said.c.position))
        .where(said.c.conversation_id == conversations.c.conversation_id, said.c.kind == "message")
        .correlate(conversations)
        .scalar_subquery()
    )
    own = conversations.join(agents, agents.c.agent_id == conversations.c.assignee, isouter=True).join(
        events,
        (events.c.conversation_id == conversations.c.conversation_id) & (events.c.position == last),
        isouter=True,
    )
    told = [
        _mode_since().label("mode_since"),
        agents.c.name.label("assignee_name"),
        events.c.author.label("last_author"),
        events.c.ts.label("last_message_ts"),
    ]
    return select(conversations, *told).select_from(own)


def _mode_since() -> ColumnElement[str]:
    """When the conversation came into its mode."""
    state = events.alias("state")
    last = (
        select(func.max(state.c.ts))
        .where(state.c.conversation_id == conversations.c.conversation_id, state.c.kind == "state")
        .correlate(conversations)
        .scalar_subquery()
    )
    return func.coalesce(last, conversations.c.created_at)


def _summary(row: Row[Any]) -> Summary:
    return Summary(**{name: getattr(row, name) for name in Summary.__slots__})
