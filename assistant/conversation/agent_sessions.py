"""Who is logged in: sessions that can be revoked, and the one-use tickets that open sockets.

Secrets and tickets are 256 random bits; the database has their SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.conversation.agents import Agent, agent_of
from assistant.conversation.agents_tables import agent_sessions, agent_tickets, agents
from assistant.conversation.database import Database
from assistant.conversation.events import new_id, now

KEPT_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class AgentSession:
    """Somebody who is logged in."""

    session_id: str
    agent: Agent


@dataclass(frozen=True, slots=True)
class RedeemedTicket:
    """A ticket that was just used up, and the page it was made for."""

    session: AgentSession
    origin: str | None


class AgentSessions:
    """Sessions end by logout, by time, by a changed password or role, or with their account: in every process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, agent: Agent, *, lifetime_s: float) -> tuple[AgentSession, str]:
        """A new session and its secret, which cannot be read again."""
        session, secret = AgentSession(new_id("as"), agent), secrets.token_urlsafe(32)
        values = {
            "session_id": session.session_id,
            "agent_id": agent.agent_id,
            "secret_hash": _digest(secret),
            "created_at": now(),
            "expires_at": _in(lifetime_s),
        }
        async with self._database.writing() as connection:
            await _forget_old(connection)
            await connection.execute(insert(agent_sessions).values(values))
        return session, secret

    async def by_secret(self, secret: str) -> AgentSession | None:
        """The session with this secret; None for an unknown, ended or disabled one."""
        async with self._database.reading() as connection:
            chosen = _living().where(agent_sessions.c.secret_hash == _digest(secret))
            row = (await connection.execute(chosen)).one_or_none()
        return _session(row) if row else None

    async def revoke(self, session_id: str) -> None:
        """End a session."""
        this = agent_sessions.c.session_id == session_id
        async with self._database.writing() as connection:
            await connection.execute(update(agent_sessions).where(this).values(revoked_at=now()))

    async def living(self, session_ids: Collection[str]) -> set[str]:
        """Which of these sessions go on."""
        async with self._database.reading() as connection:
            rows = await connection.execute(_living().where(agent_sessions.c.session_id.in_(session_ids)))
            return {row.session_id for row in rows}

    async def issue_ticket(self, session_id: str, *, origin: str | None, ttl_s: float) -> str:
        """A token that opens one socket within ``ttl_s``, from a page of this origin."""
        token = secrets.token_urlsafe(32)
        values = {
            "token_hash": _digest(token),
            "session_id": session_id,
            "origin": origin,
            "expires_at": _in(ttl_s),
        }
        async with self._database.writing() as connection:
            await connection.execute(delete(agent_tickets).where(agent_tickets.c.expires_at <= now()))
            await connection.execute(insert(agent_tickets).values(values))
        return token

    async def redeem(self, token: str) -> RedeemedTicket | None:
        """Use a ticket up; None for one that is unknown, used, expired, or of a session that has ended."""
        this = agent_tickets.c.token_hash == _digest(token)
        async with self._database.writing() as connection:
            used = await connection.execute(delete(agent_tickets).where(this).returning(agent_tickets))
            ticket = used.one_or_none()
            if ticket is None or ticket.expires_at <= now():
                return None
            chosen = _living().where(agent_sessions.c.session_id == ticket.session_id)
            row = (await connection.execute(chosen)).one_or_none()
        return RedeemedTicket(_session(row), ticket.origin) if row else None


async def _forget_old(connection: AsyncConnection) -> None:
    """Drop what has ended, sessions `KEPT_S` later: until then the log's ids can be looked up."""
    await connection.execute(delete(agent_tickets).where(agent_tickets.c.expires_at <= now()))
    in_use = select(agent_tickets.c.session_id)
    is_old = (agent_sessions.c.expires_at <= _in(-KEPT_S)) & agent_sessions.c.session_id.not_in(in_use)
    await connection.execute(delete(agent_sessions).where(is_old))


def _living() -> Select[Any]:
    goes_on = agent_sessions.c.revoked_at.is_(None) & (agent_sessions.c.expires_at > now())
    joined = agent_sessions.join(agents, agents.c.agent_id == agent_sessions.c.agent_id)
    columns = [agent_sessions.c.session_id, *agents.c]
    return select(*columns).select_from(joined).where(goes_on, agents.c.disabled_at.is_(None))


def _session(row: Row[Any]) -> AgentSession:
    return AgentSession(row.session_id, agent_of(row))


def _in(seconds: float) -> str:
    """A moment to come, as the log writes them."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
