"""Who talks to the assistant from a browser, known by a secret that only the browser keeps."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from assistant.conversation.customer_tables import customers, visitor_secrets
from assistant.conversation.database import Database
from assistant.conversation.events import VisitorId, new_id, now
from assistant.conversation.tables import visitors

VISITOR_PREFIX = "v_"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who talks to the assistant.

    ``user_id`` is who the site has vouched for that they are, if it has, and ``signed_in_at`` when it did so on this
    device (a time as in ``Event.ts``).
    """

    visitor_id: VisitorId
    tenant: str
    user_id: str | None = None
    signed_in_at: str = ""


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
        known = visitors.outerjoin(customers, customers.c.visitor_id == visitors.c.visitor_id).outerjoin(
            visitor_secrets, visitor_secrets.c.secret_hash == hashed
        )
        signed_in_at = func.coalesce(visitor_secrets.c.created_at, "").label("signed_in_at")
        columns = (visitors.c.visitor_id, visitors.c.tenant, customers.c.user_id, signed_in_at)
        query = select(*columns).select_from(known).where(theirs, visitors.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Visitor(VisitorId(row.visitor_id), row.tenant, row.user_id, row.signed_in_at) if row else None

    async def revoked_among(self, visitor_ids: Collection[str]) -> list[str]:
        """Those of these visitors who may come in no more: revoked, or not there any more. Other ids are nobody's."""
        these = visitors.c.visitor_id.in_(visitor_ids) & visitors.c.revoked_at.is_(None)
        query = select(visitors.c.visitor_id).where(these)
        welcome = await self._database.read(lambda connection: set(connection.execute(query).scalars()))
        return [one for one in visitor_ids if one.startswith(VISITOR_PREFIX) and one not in welcome]

    async def holds(self, device: str) -> bool:
        """Whether the secret of this `digest` still lets its visitor in."""
        devices = select(visitor_secrets.c.visitor_id).where(visitor_secrets.c.secret_hash == device)
        theirs = (visitors.c.secret_hash == device) | visitors.c.visitor_id.in_(devices)
        query = select(visitors.c.visitor_id).where(theirs, visitors.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            return (await connection.execute(query)).first() is not None

    async def sign_out(self, secret: str) -> None:
        """End a secret, which may be unknown.

        A customer whom the site has vouched for keeps their other devices; an anonymous visitor has no other way back.
        """
        async with self._database.writing() as connection:
            device = visitor_secrets.c.secret_hash == digest(secret)
            await connection.execute(delete(visitor_secrets).where(device))
            alone = visitors.c.secret_hash == digest(secret)
            await connection.execute(update(visitors).where(alone).values(revoked_at=now()))


def digest(secret: str) -> str:
    """What the database keeps of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
