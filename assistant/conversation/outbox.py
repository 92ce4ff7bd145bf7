"""The outbox of webhooks: a cursor into the log for each endpoint and conversation, kept in the database.

The log itself is the queue: nothing is copied, so nothing is lost where a process dies, and what was erased from the
log is no longer sent. Bounds: a scan notes `MAX_NOTED` conversations, a visit holds its conversation for `LEASE_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId
from assistant.conversation.outbox_tables import webhook_cursors, webhook_endpoints
from assistant.conversation.tables import conversations

MAX_NOTED = 200
LEASE_S = 120.0
MARGIN_S = 60.0  # a commit may become visible this long after the time it carries


@dataclass(frozen=True, slots=True)
class Visit:
    """A conversation with something to send to one endpoint, held by whoever took it until ``lease``.

    ``position`` is the last event dealt with; ``failing_since`` and ``attempts`` tell of the event after it.
    """

    endpoint: str
    conversation_id: ConversationId
    position: int
    attempts: int
    failing_since: str | None
    lease: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far behind an endpoint is."""

    started_at: str
    num_late: int
    failing_since: str | None


class Outbox:
    """Which conversations have something to send where. Several processes may use one database."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s
        self._scanned_upto: dict[str, str] = {}

    def at(self, delay_s: float = 0.0) -> str:
        """A moment in the log's own notation, ``delay_s`` from now."""
        moment = datetime.fromtimestamp(self._clock() + delay_s, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    async def begin(self, endpoint: str) -> str:
        """When this endpoint was first known, which is now for a new one: what happened before is not sent."""
        this = select(webhook_endpoints.c.started_at).where(webhook_endpoints.c.endpoint == endpoint)
        async with self._database.writing() as connection:
            known = (await connection.execute(this)).scalar_one_or_none()
            if known is not None:
                return str(known)
            values = {"endpoint": endpoint, "started_at": self.at(), "scanned_upto": self.at()}
            await connection.execute(insert(webhook_endpoints).values(values))
        return values["started_at"]

    async def note_new(self, endpoint: str, *, tenants: Collection[str] = ()) -> int:
        """Look for conversations that have gone on, and note that they have something to send; gives how many."""
        began, since = self.at(), await self._since(endpoint)
        query = _gone_on(endpoint, since, tenants)
        async with self._database.reading() as connection:
            if (await connection.execute(query.limit(1))).first() is None:
                self._scanned_upto[endpoint] = began
                return 0
        async with self._database.writing() as connection:
            rows = (await connection.execute(query)).all()
            for row in rows:
                await self._note(connection, endpoint, row)
            self._scanned_upto[endpoint] = rows[-1].updated_at if len(rows) == MAX_NOTED else began
            this = webhook_endpoints.c.endpoint == endpoint
            values = {"scanned_upto": self._scanned_upto[endpoint]}
            await connection.execute(update(webhook_endpoints).where(this).values(values))
        return len(rows)

    async def take_due(self, endpoint: str, *, limit: int) -> list[Visit]:
        """Take up to ``limit`` conversations whose time has come, the longest waiting first."""
        cursors = webhook_cursors.c
        due = select(webhook_cursors).where(cursors.endpoint == endpoint, cursors.next_at <= self.at())
        due = due.order_by(cursors.next_at).limit(limit)
        async with self._database.reading() as connection:
            if (await connection.execute(due.limit(1))).first() is None:
                return []
        lease = self.at(self._lease_s)
        async with self._database.writing() as connection:
            rows = (await connection.execute(due.with_for_update(skip_locked=True))).all()
            chosen = cursors.conversation_id.in_([row.conversation_id for row in rows])
            held = update(webhook_cursors).where(cursors.endpoint == endpoint, chosen).values(next_at=lease)
            await connection.execute(held)
        return [_visit(row, lease) for row in rows]

    async def settle(self, visit: Visit, position: int, *, again: bool = False) -> None:
        """All up to ``position`` is dealt with; ``again``: there is more."""
        await self._put(visit, position=position, attempts=0, failing_since=None, next_at=self.at() if again else None)

    async def postpone(self, visit: Visit, position: int, *, attempts: int, failing_since: str, delay_s: float) -> None:
        """All up to ``position`` is dealt with, the next one was tried ``attempts`` times in vain."""
        next_at = self.at(delay_s)
        await self._put(visit, position=position, attempts=attempts, failing_since=failing_since, next_at=next_at)

    async def hurry(self, endpoint: str) -> None:
        """Send at once what waits for another try: the endpoint is back."""
        cursors = webhook_cursors.c
        waiting = (cursors.endpoint == endpoint) & cursors.failing_since.is_not(None) & (cursors.next_at > self.at())
        async with self._database.writing() as connection:
            await connection.execute(update(webhook_cursors).where(waiting).values(next_at=self.at()))

    async def standing(self, endpoint: str) -> Standing | None:
        """How far behind the endpoint is; None where no server has served it yet."""
        cursors = webhook_cursors.c
        late = select(func.count(), func.min(cursors.failing_since))
        late = late.where(cursors.endpoint == endpoint, cursors.next_at.is_not(None))
        this = select(webhook_endpoints.c.started_at).where(webhook_endpoints.c.endpoint == endpoint)
        async with self._database.reading() as connection:
            started_at = (await connection.execute(this)).scalar_one_or_none()
            num_late, failing_since = (await connection.execute(late)).one()
        return Standing(started_at, num_late, failing_since) if started_at else None

    async def _since(self, endpoint: str) -> str:
        row = webhook_endpoints.c
        if endpoint not in self._scanned_upto:
            query = select(row.scanned_upto).where(row.endpoint == endpoint)
            async with self._database.reading() as connection:
                self._scanned_upto[endpoint] = (await connection.execute(query)).scalar_one()
        upto = datetime.fromisoformat(self._scanned_upto[endpoint]).timestamp()
        return self.at(upto - MARGIN_S - self._clock())

    async def _note(self, connection: AsyncConnection, endpoint: str, row: Row[tuple[str, str, int | None]]) -> None:
        key = {"endpoint": endpoint, "conversation_id": row.conversation_id}
        if row.position is None:
            values = {**key, "position": 0, "attempts": 0, "next_at": self.at()}
            await connection.execute(insert(webhook_cursors).values(values))
            return
        await connection.execute(update(webhook_cursors).where(_is(**key)).values(next_at=self.at()))

    async def _put(self, visit: Visit, **values: str | int | None) -> None:
        # Where the lease ran out meanwhile, somebody else has the conversation now and knows better.
        held = _is(visit.endpoint, visit.conversation_id) & (webhook_cursors.c.next_at == visit.lease)
        async with self._database.writing() as connection:
            await connection.execute(update(webhook_cursors).where(held).values(values))


def _gone_on(endpoint: str, since: str, tenants: Collection[str]) -> Select[tuple[str, str, int | None]]:
    """Conversations with events after their cursor that nothing is noted of."""
    cursors, heads = webhook_cursors.c, conversations.c
    this = (cursors.endpoint == endpoint) & (cursors.conversation_id == heads.conversation_id)
    query = select(heads.conversation_id, heads.updated_at, cursors.position).select_from(
        conversations.outerjoin(webhook_cursors, this)
    )
    if tenants:
        query = query.where(heads.tenant.in_(tenants))
    behind = heads.last_position > func.coalesce(cursors.position, 0)
    query = query.where(heads.updated_at >= since, cursors.next_at.is_(None), behind)
    return query.order_by(heads.updated_at).limit(MAX_NOTED)


def _is(endpoint: str, conversation_id: str) -> ColumnElement[bool]:
    return (webhook_cursors.c.endpoint == endpoint) & (webhook_cursors.c.conversation_id == conversation_id)


def _visit(row: Row[tuple[str, ...]], lease: str) -> Visit:
    conversation_id = ConversationId(row.conversation_id)
    return Visit(row.endpoint, conversation_id, row.position, row.attempts, row.failing_since, lease)
