"""The accounts of the people who answer customers.

Bounds: `MIN_PASSWORD_CHARS` to `MAX_PASSWORD_CHARS` of a password; `MAX_HASHING` are hashed at a time, because each
takes 64 MiB (Argon2id with the costs of RFC 9106, section 4, second choice).
"""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ColumnElement, Row, insert, select, update

from assistant.conversation.agents_tables import agent_sessions, agents
from assistant.conversation.database import Database
from assistant.conversation.events import AgentRole, new_id, now
from assistant.errors import AccountError

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 256
MAX_EMAIL_CHARS = 254
MAX_NAME_CHARS = 80
MAX_HASHING = 2
EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who may answer customers of these ``tenants``, or of all where none is named.

    ``name`` is what customers read.
    """

    agent_id: str
    email: str
    name: str
    role: AgentRole
    is_enabled: bool = True
    tenants: tuple[str, ...] = ()

    def serves(self, tenant: str) -> bool:
        """Whether this tenant's conversations are theirs to see."""
        return not self.tenants or tenant in self.tenants


class Agents:
    """The accounts. Every process reads them from the database, so a change counts everywhere at once."""

    def __init__(self, database: Database, *, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._hasher = hasher or PasswordHasher()
        self._hashing = asyncio.Semaphore(MAX_HASHING)
        self._nobodys_hash: str | None = None

    async def add(
        self, email: str, password: str, *, role: AgentRole, name: str = "", tenants: Collection[str] = ()
    ) -> Agent:
        """A new account. Raises `AccountError` where the address is taken or wrong, or the password too short."""
        address, named = checked_email(email), _checked_name(name or email.partition("@")[0])
        agent = Agent(new_id("a"), address, named, role, tenants=_checked_tenants(role, tenants))
        password_hash = await self._hash(password)
        async with self._database.writing() as connection:
            if (await connection.execute(select(agents).where(agents.c.email == address))).first():
                raise AccountError(
                    f"There is an account {address} already.", fix="Change its password with users passwd."
                )
            values = {"agent_id": agent.agent_id, "email": address, "name": agent.name, "role": role}
            hashed = {"password_hash": password_hash, "created_at": now()}
            await connection.execute(insert(agents).values(**values, **hashed, tenants=list(agent.tenants)))
        return agent

    async def list(self) -> list[Agent]:
        """All accounts, by address."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(agents).order_by(agents.c.email))).all()
        return [agent_of(row) for row in rows]

    async def by_id(self, agent_id: str) -> Agent | None:
        """One account, disabled or not."""
        row = await self._find(agents.c.agent_id == agent_id)
        return agent_of(row) if row else None

    async def by_password(self, email: str, password: str) -> Agent | None:
        """The account with this address and password; None for every other pair, after the same work.

        Unknown and disabled accounts cost a verification too, so that the time taken does not tell them apart.
        """
        row = await self._find((agents.c.email == folded_email(email)) & agents.c.disabled_at.is_(None))
        password_hash = row.password_hash if row else await self._hash_of_nobody()
        is_right = await self._verify(password_hash, password)
        if row is None or not is_right:
            return None
        if self._hasher.check_needs_rehash(password_hash):
            await self._store_hash(row.agent_id, await self._hash(password), expected=password_hash)
        return agent_of(row)

    async def set_password(self, email: str, password: str) -> Agent:
        """A new password; every session of the account ends. Raises `AccountError`."""
        return await self._change(email, {"password_hash": await self._hash(password)})

    async def disable(self, email: str) -> Agent:
        """Let nobody in with this account any more, and end its sessions. Raises `AccountError`."""
        return await self._change(email, {"disabled_at": now()})

    async def enable(self, email: str) -> Agent:
        """Let the account in again; its old sessions stay ended. Raises `AccountError`."""
        return await self._change(email, {"disabled_at": None})

    async def set_role(self, email: str, role: AgentRole) -> Agent:
        """Another role; every session of the account ends. Raises `AccountError`."""
        known = await self._find(agents.c.email == folded_email(email))
        _checked_tenants(role, known.tenants if known else ())
        return await self._change(email, {"role": role})

    async def set_tenants(self, email: str, tenants: Collection[str]) -> Agent:
        """Serve these tenants from now on, none: all; every session of the account ends. Raises `AccountError`."""
        known = await self._find(agents.c.email == folded_email(email))
        chosen = _checked_tenants(known.role if known else "agent", tenants)
        return await self._change(email, {"tenants": list(chosen)})

    async def _change(self, email: str, values: dict[str, Any]) -> Agent:
        address = folded_email(email)
        async with self._database.writing() as connection:
            await connection.execute(update(agents).where(agents.c.email == address).values(**values))
            row = (await connection.execute(select(agents).where(agents.c.email == address))).one_or_none()
            if row is None:
                raise AccountError(f"There is no account {address[:80]}.", fix="See assistant users list.")
            theirs = (agent_sessions.c.agent_id == row.agent_id) & agent_sessions.c.revoked_at.is_(None)
            await connection.execute(update(agent_sessions).where(theirs).values(revoked_at=now()))
        return agent_of(row)

    async def _find(self, condition: ColumnElement[bool]) -> Row[Any] | None:
        async with self._database.reading() as connection:
            return (await connection.execute(select(agents).where(condition))).one_or_none()

    async def _store_hash(self, agent_id: str, password_hash: str, *, expected: str) -> None:
        """Keep a hash of today's costs, unless the password was changed meanwhile."""
        same = (agents.c.agent_id == agent_id) & (agents.c.password_hash == expected)
        async with self._database.writing() as connection:
            await connection.execute(update(agents).where(same).values(password_hash=password_hash))

    async def _hash(self, password: str) -> str:
        checked = _checked_password(password)
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, checked)

    async def _hash_of_nobody(self) -> str:
        if self._nobodys_hash is None:
            self._nobodys_hash = await self._hash(secrets.token_urlsafe(32))
        return self._nobodys_hash

    async def _verify(self, password_hash: str, password: str) -> bool:
        try:
            async with self._hashing:
                return await asyncio.to_thread(self._hasher.verify, password_hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False


def agent_of(row: Row[Any]) -> Agent:
    """The account in a row that has the columns of `agents`."""
    return Agent(row.agent_id, row.email, row.name, row.role, row.disabled_at is None, tuple(row.tenants))


def checked_email(email: str) -> str:
    """The address as it is stored. Raises `AccountError`."""
    address = folded_email(email)
    if len(address) > MAX_EMAIL_CHARS or not EMAIL.fullmatch(address):
        raise AccountError(f"{address[:80]!r} is not an e-mail address.", fix="Give one such as mia@shop.example.")
    return address


def folded_email(email: str) -> str:
    """The one form of an address that is written in several."""
    return unicodedata.normalize("NFKC", email).strip().lower()


def _checked_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not 0 < len(cleaned) <= MAX_NAME_CHARS or not cleaned.isprintable():
        raise AccountError(f"The name has {len(cleaned)} characters; 1 to {MAX_NAME_CHARS} readable ones are allowed.")
    return cleaned


def _checked_tenants(role: AgentRole, tenants: Collection[str]) -> tuple[str, ...]:
    """The tenants, each once. Whoever operates the server reaches all of them, so an admin is limited to none."""
    chosen = tuple(sorted(set(tenants)))
    if chosen and role == "admin":
        raise AccountError(
            f"An admin operates the server for all tenants, not for {', '.join(chosen)} alone.",
            fix="Choose the role agent or supervisor, or leave the tenants out.",
        )
    return chosen


def _checked_password(password: str) -> str:
    normal = _normal(password)
    if not MIN_PASSWORD_CHARS <= len(normal) <= MAX_PASSWORD_CHARS:
        raise AccountError(
            f"The password has {len(normal)} characters; {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} are allowed.",
            fix="Take a sentence that you can remember.",
        )
    return normal


def _normal(password: str) -> str:
    """One form for what keyboards write in several (NIST SP 800-63B, section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
