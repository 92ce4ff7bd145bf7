"""Webhooks that an endpoint did not take in time: kept for a person to look at, and sent again when one says so.

Only where the event stands in the log is kept, never what it says. Bounds: `KEPT_S`, `MAX_LISTED`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update

from assistant.conversation.database import Database
from assistant.conversation.events import ConversationId
from assistant.conversation.outbox_tables import webhook_failures

KEPT_S = 30 * 86_400.0
MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class FailedWebhook:
    """One webhook that was given up. ``reason`` is what the last try came to, such as ``http_500``."""

    endpoint: str
    webhook_id: str
    conversation_id: ConversationId
    position: int
    type: str
    reason: str
    failed_at: str
    retry_at: str | None = None


class FailedWebhooks:
    """What was given up, by endpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, failed: Sequence[FailedWebhook]) -> None:
        """Keep them; one that is there already stays as it is."""
        async with self._database.writing() as connection:
            for webhook in failed:
                if (await connection.execute(select(webhook_failures).where(_this(webhook)))).first() is None:
                    await connection.execute(insert(webhook_failures).values(asdict(webhook)))

    async def all(self, *, endpoint: str | None = None, limit: int = MAX_LISTED) -> list[FailedWebhook]:
        """The failures, the oldest first."""
        query = select(webhook_failures).order_by(webhook_failures.c.failed_at, webhook_failures.c.position)
        if endpoint is not None:
            query = query.where(webhook_failures.c.endpoint == endpoint)
        return await self._read(query.limit(limit))

    async def count(self, endpoint: str) -> int:
        """How many an endpoint has."""
        query = select(func.count()).where(webhook_failures.c.endpoint == endpoint)
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def to_retry(self, endpoint: str, *, limit: int) -> list[FailedWebhook]:
        """Those that a person wants sent again, in the order of their events."""
        table = webhook_failures.c
        query = select(webhook_failures).where(table.endpoint == endpoint, table.retry_at.is_not(None))
        return await self._read(query.order_by(table.failed_at, table.conversation_id, table.position).limit(limit))

    async def retry(self, ids: Collection[str] = (), *, endpoint: str | None = None, at: str) -> int:
        """Have these (or all) sent again; gives how many. A running server takes it up by itself."""
        wanted = update(webhook_failures).values(retry_at=at)
        if ids:
            wanted = wanted.where(webhook_failures.c.webhook_id.in_(ids))
        if endpoint is not None:
            wanted = wanted.where(webhook_failures.c.endpoint == endpoint)
        async with self._database.writing() as connection:
            return (await connection.execute(wanted)).rowcount

    async def remove(self, webhook: FailedWebhook) -> None:
        """It was taken after all, or there is nothing left to send."""
        async with self._database.writing() as connection:
            await connection.execute(delete(webhook_failures).where(_this(webhook)))

    async def fail_again(self, webhook: FailedWebhook, reason: str) -> None:
        """The new try came to nothing either."""
        async with self._database.writing() as connection:
            values = {"reason": reason, "retry_at": None}
            await connection.execute(update(webhook_failures).where(_this(webhook)).values(values))

    async def forget_before(self, moment: str) -> int:
        """Drop what failed before this moment; gives how many."""
        old = delete(webhook_failures).where(webhook_failures.c.failed_at < moment)
        async with self._database.writing() as connection:
            return (await connection.execute(old)).rowcount

    async def _read(self, query: Select[Any]) -> list[FailedWebhook]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [FailedWebhook(**{field.name: row[field.name] for field in fields(FailedWebhook)}) for row in rows]


def _this(webhook: FailedWebhook) -> ColumnElement[bool]:
    table = webhook_failures.c
    return (table.endpoint == webhook.endpoint) & (table.webhook_id == webhook.webhook_id)
