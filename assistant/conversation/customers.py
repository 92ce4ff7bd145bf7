"""Customers whom the site has vouched for: one visitor for each, on however many devices.

Bounds: `MAX_DEVICES` secrets for each customer, the oldest goes; used proofs are forgotten when they expire.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.attachment_tables import uploads
from assistant.conversation.customer_tables import customers, used_proofs, visitor_secrets
from assistant.conversation.database import Database
from assistant.conversation.events import VisitorId, new_id, now
from assistant.conversation.tables import conversations, visitors
from assistant.conversation.visitors import Visitor, digest
from assistant.errors import ProofUsed

MAX_DEVICES = 20


@dataclass(frozen=True, slots=True)
class Proof:
    """What a site has signed: who this is, until when (seconds since 1970), and what the proof is known by."""

    tenant: str
    user_id: str
    expires_at: int
    digest: str


class Customers:
    """Which visitor a site's customer is."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def find(self, tenant: str, user_id: str) -> Visitor | None:
        """The visitor of this customer, if they have signed in before."""
        async with self._database.reading() as connection:
            return await _find(connection, tenant, user_id)

    async def user_id(self, visitor_id: str) -> str | None:
        """Who the site says this visitor is; None for an anonymous one."""
        query = select(customers.c.user_id).where(customers.c.visitor_id == visitor_id)
        async with self._database.reading() as connection:
            found: str | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def sign_in(self, proof: Proof, *, anonymous: Visitor | None = None) -> tuple[Visitor, str]:
        """Use a verified proof up: the customer's visitor, and a new secret for this device.

        The conversations of ``anonymous``, who must have been proved too, go to the customer, and its secret ends.
        Where that visitor is another customer's nothing of it is touched. Raises `ProofUsed`.
        """
        async with self._database.writing() as connection:
            await self._use_up(connection, proof)
            visitor = await _find(connection, proof.tenant, proof.user_id) or await _add(connection, proof)
            if anonymous is not None and await _is_anonymous(connection, anonymous, proof.tenant):
                await _take_along(connection, anonymous, visitor)
            secret, signed_in_at = await _add_device(connection, visitor)
            return replace(visitor, signed_in_at=signed_in_at), secret

    async def _use_up(self, connection: AsyncConnection, proof: Proof) -> None:
        await connection.execute(delete(used_proofs).where(used_proofs.c.expires_at < self._clock() - 60))
        used = select(used_proofs.c.digest).where(used_proofs.c.digest == proof.digest)
        if (await connection.execute(used)).one_or_none() is not None:
            raise ProofUsed("This proof of identity was used already.", fix="Let the site sign a new one.")
        values = {"digest": proof.digest, "expires_at": proof.expires_at}
        await connection.execute(insert(used_proofs).values(values))


async def _find(connection: AsyncConnection, tenant: str, user_id: str) -> Visitor | None:
    theirs = select(customers.c.visitor_id).join(visitors, visitors.c.visitor_id == customers.c.visitor_id)
    query = theirs.where(_is(tenant, user_id), visitors.c.revoked_at.is_(None))
    visitor_id = (await connection.execute(query)).scalar_one_or_none()
    return Visitor(VisitorId(visitor_id), tenant, user_id) if visitor_id else None


async def _add(connection: AsyncConnection, proof: Proof) -> Visitor:
    visitor = Visitor(VisitorId(new_id("v")), proof.tenant, proof.user_id)
    await connection.execute(delete(customers).where(_is(proof.tenant, proof.user_id)))  # whose visitor was revoked
    # Every device has a secret of its own; the visitor's first one is known to nobody.
    row = {"visitor_id": visitor.visitor_id, "tenant": proof.tenant, "created_at": now()}
    await connection.execute(insert(visitors).values(**row, secret_hash=digest(secrets.token_urlsafe(32))))
    await connection.execute(insert(customers).values(**row, user_id=proof.user_id))
    return visitor


def _is(tenant: str, user_id: str) -> ColumnElement[bool]:
    return (customers.c.tenant == tenant) & (customers.c.user_id == user_id)


async def _is_anonymous(connection: AsyncConnection, visitor: Visitor, tenant: str) -> bool:
    query = select(customers.c.user_id).where(customers.c.visitor_id == visitor.visitor_id)
    return visitor.tenant == tenant and (await connection.execute(query)).one_or_none() is None


async def _take_along(connection: AsyncConnection, anonymous: Visitor, customer: Visitor) -> None:
    theirs = conversations.c.visitor_id == anonymous.visitor_id
    await connection.execute(update(conversations).where(theirs).values(visitor_id=customer.visitor_id))
    files = uploads.c.visitor_id == anonymous.visitor_id
    await connection.execute(update(uploads).where(files).values(visitor_id=customer.visitor_id))
    this = visitors.c.visitor_id == anonymous.visitor_id
    await connection.execute(update(visitors).where(this).values(revoked_at=now()))


async def _add_device(connection: AsyncConnection, visitor: Visitor) -> tuple[str, str]:
    secret, signed_in_at = secrets.token_urlsafe(32), now()
    row = {"secret_hash": digest(secret), "visitor_id": visitor.visitor_id, "created_at": signed_in_at}
    await connection.execute(insert(visitor_secrets).values(row))
    theirs = select(visitor_secrets.c.secret_hash).where(visitor_secrets.c.visitor_id == visitor.visitor_id)
    newest_first = theirs.order_by(visitor_secrets.c.created_at.desc(), visitor_secrets.c.secret_hash)
    too_many = (await connection.execute(newest_first.offset(MAX_DEVICES))).scalars().all()
    await connection.execute(delete(visitor_secrets).where(visitor_secrets.c.secret_hash.in_(too_many)))
    return secret, signed_in_at
