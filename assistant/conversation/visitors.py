"""Who talks to the assistant from a browser, known by a secret that only the browser keeps."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import insert, select

from assistant.conversation.customer_tables import visitor_secrets
from assistant.conversation.database import Database
from assistant.conversation.events import VisitorId, new_id, now
from assistant.conversation.tables import visitors


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who talks to the assistant."""

    visitor_id: VisitorId
    tenant: str


class Visitors:
    """The visitors' identities. A secret is 256 random bits; the database has its SHA-256."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant: str) -> tuple[Visitor, str]:
        """A new visitor and its secret, which cannot be read again."""
        visitor = Visitor(VisitorId(new_id("v")), tenant)
        secret = secrets.token_urlsafe(32)
        values = {
            "visitor_id": visitor.visitor_id,
            "tenant": tenant,
            "secret_hash": digest(secret),
            "created_at": now(),
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(visitors).values(values))
        return visitor, secret

    async def by_secret(self, secret: str) -> Visitor | None:
        """Who holds this secret; None for an unknown or revoked one."""
        hashed = digest(secret)
        devices = select(visitor_secrets.c.visitor_id).where(visitor_secrets.c.secret_hash == hashed)
        theirs = (visitors.c.secret_hash == hashed) | visitors.c.visitor_id.in_(devices)
        query = select(visitors).where(theirs, visitors.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Visitor(VisitorId(row.visitor_id), row.tenant) if row else None


def digest(secret: str) -> str:
    """What the database keeps of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
