"""The conversations as a list for the people who answer: where each stands, and who wrote last.

Bounds: `MAX_LISTED` conversations at a time; what the assistant has, or what is closed, is listed for `RECENT_S`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, or_, select

from assistant.conversation.agents_tables import agents
from assistant.conversation.database import Database
from assistant.conversation.events import Author, ConversationId, Mode
from assistant.conversation.tables import conversations, events

MAX_LISTED = 500
RECENT_S = 86_400.0
ORDER: tuple[Mode, ...] = ("waiting", "human", "bot", "closed")
Counts = Mapping[tuple[str, Mode], int]
"""How many conversations, by tenant and mode."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One conversation in the list.

    ``assignee`` is the id of the person who has it, ``assignee_name`` their name; it is in its mode since
    ``mode_since``. ``is_urgent`` says that the customer waits and said, on the way there, that it cannot wait.
    """

    conversation_id: ConversationId
    tenant: str
    locale: str
    mode: Mode
    mode_since: str
    is_urgent: bool
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

    async def latest(self, *, limit: int = MAX_LISTED, tenants: Collection[str] = ()) -> list[Summary]:
        """Who waits, the urgent and then the longest first; who is being helped, with the assistant, closed, by news.

        With ``tenants`` of these alone.
        """
        rank = case({mode: number for number, mode in enumerate(ORDER)}, value=conversations.c.mode)
        waiting_since = case((conversations.c.mode == "waiting", _mode_since()))
        chosen = _summaries().where(_is_listed())
        chosen = chosen.where(conversations.c.tenant.in_(tenants)) if tenants else chosen
        order = (rank, _is_urgent().desc(), waiting_since, conversations.c.updated_at.desc())
        return await self._read(chosen.order_by(*order).limit(min(limit, MAX_LISTED)))

    async def moved_since(self, moment: str) -> list[Moved]:
        """What changed at or after a time as in ``Event.ts``, the newest first and `MAX_LISTED` at most."""
        columns = [conversations.c[name] for name in Moved.__slots__]
        changed = select(*columns).where(conversations.c.updated_at >= moment)
        newest = changed.order_by(conversations.c.updated_at.desc()).limit(MAX_LISTED)
        return await self._database.read(lambda connection: [Moved(*row) for row in connection.execute(newest)])

    async def of(self, conversation_ids: Sequence[ConversationId]) -> list[Summary]:
        """These conversations, as they stand now."""
        return await self._read(_summaries().where(conversations.c.conversation_id.in_(conversation_ids)))

    async def waiting(self, *, limit: int = MAX_LISTED) -> list[tuple[str, ConversationId]]:
        """Tenant and id of the conversations that wait for a person, the urgent and then the longest wait first."""
        columns = (conversations.c.tenant, conversations.c.conversation_id)
        waiting = select(*columns).where(conversations.c.mode == "waiting")
        async with self._database.reading() as connection:
            order = (_is_urgent().desc(), _mode_since(), conversations.c.conversation_id)
            found = await connection.execute(waiting.order_by(*order).limit(limit))
            return [(row.tenant, row.conversation_id) for row in found]

    async def counts(self) -> Counts:
        """How many listed conversations each tenant has in each mode."""
        each = (conversations.c.tenant, conversations.c.mode)
        query = select(*each, func.count()).where(_is_listed()).group_by(*each)
        async with self._database.reading() as connection:
            return {(tenant, mode): number for tenant, mode, number in await connection.execute(query)}

    async def _read(self, query: Select[Any]) -> list[Summary]:
        async with self._database.reading() as connection:
            return [_summary(row) for row in (await connection.execute(query)).all()]


def counted(counts: Counts, tenants: Collection[str] = ()) -> dict[Mode, int]:
    """How many are in each mode; with ``tenants`` of these alone."""
    theirs = {key: number for key, number in counts.items() if not tenants or key[0] in tenants}
    return {mode: sum(number for (_, of), number in theirs.items() if of == mode) for mode in ORDER}


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
    told: list[ColumnElement[Any]] = [
        _mode_since().label("mode_since"),
        _is_urgent().label("is_urgent"),
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


def _is_urgent() -> ColumnElement[bool]:
    """Whether the customer waits, and has said since nobody was waited for that it cannot wait."""
    noted, state = events.alias("noted"), events.alias("state_before")
    here = conversations.c.conversation_id
    is_other = state.c.payload["mode"].as_string() != "waiting"
    before = (
        select(func.coalesce(func.max(state.c.position), 0))
        .where(state.c.conversation_id == here, state.c.kind == "state", is_other)
        .correlate(conversations)
        .scalar_subquery()
    )
    said = select(noted.c.position).where(
        noted.c.conversation_id == here,
        noted.c.kind == "insight",
        noted.c.payload["urgency"].as_string() == "high",
        noted.c.position > before,
    )
    return and_(conversations.c.mode == "waiting", said.correlate(conversations).exists())


def _summary(row: Row[Any]) -> Summary:
    return Summary(**{name: getattr(row, name) for name in Summary.__slots__})
