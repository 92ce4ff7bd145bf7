"""Keys for programs: made on the server's machine, shown once, known afterwards by their hash only."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Row, insert, select, update

from assistant.conversation.api_tables import api_keys
from assistant.conversation.database import Database
from assistant.conversation.events import new_id, now

PREFIX = "ask_"  # tells people, and scanners for leaked secrets, what they have found


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who may use the programs' interfaces, and for which tenant. Times are ISO 8601 in UTC."""

    key_id: str
    name: str
    tenant: str
    created_at: str
    revoked_at: str | None = None


class ApiKeys:
    """The keys. A secret is 256 random bits; the database has its SHA-256, so that looking one up leaks no prefix."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, tenant: str) -> tuple[ApiKey, str]:
        """A new key and its secret, which cannot be read again. Several keys may share a name, to replace one."""
        key = ApiKey(new_id("k"), name, tenant, now())
        secret = PREFIX + secrets.token_urlsafe(32)
        values = {
            "key_id": key.key_id,
            "name": name,
            "tenant": tenant,
            "secret_hash": _digest(secret),
            "created_at": key.created_at,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(api_keys).values(values))
        return key, secret

    async def by_secret(self, secret: str) -> ApiKey | None:
        """Whose secret this is; None for an unknown or revoked one."""
        query = select(api_keys).where(api_keys.c.secret_hash == _digest(secret), api_keys.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _key(row) if row else None

    async def exist(self) -> bool:
        """Whether there is any key that is not revoked."""
        query = select(api_keys.c.key_id).where(api_keys.c.revoked_at.is_(None)).limit(1)
        async with self._database.reading() as connection:
            return (await connection.execute(query)).first() is not None

    async def all(self) -> list[ApiKey]:
        """Every key ever made, oldest first."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(api_keys).order_by(api_keys.c.created_at))).all()
        return [_key(row) for row in rows]

    async def revoke(self, key_id: str) -> bool:
        """Let a key open nothing from now on; False where no valid key has this id."""
        valid = (api_keys.c.key_id == key_id) & api_keys.c.revoked_at.is_(None)
        async with self._database.writing() as connection:
            done = await connection.execute(update(api_keys).where(valid).values(revoked_at=now()))
        return done.rowcount == 1


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(row.key_id, row.name, row.tenant, row.created_at, row.revoked_at)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
