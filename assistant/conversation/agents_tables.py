"""The tables of the people who answer: their accounts, sessions and one-use tickets."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, String, Table

from assistant.conversation.tables import metadata

agents = Table(
    "agents",
    metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),  # RFC 5321: 254 characters, here in lower case
    Column("name", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(255), nullable=False),  # Argon2id with its salt and costs (RFC 9106)
    Column("created_at", String(32), nullable=False),
    Column("disabled_at", String(32)),
    Column("tenants", JSON, nullable=False, server_default="[]"),  # whose customers they serve; none named: all
)

agent_sessions = Table(
    "agent_sessions",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("agent_id", String(64), ForeignKey("agents.agent_id"), nullable=False, index=True),
    Column("secret_hash", String(64), nullable=False, unique=True),  # sha256 of 256 random bits: nothing to brute-force
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
)

# In the database and not in memory, so that a token opens a socket on every process, and on one only.
agent_tickets = Table(
    "agent_tickets",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("session_id", String(64), ForeignKey("agent_sessions.session_id"), nullable=False),
    Column("origin", String(255)),
    Column("expires_at", String(32), nullable=False, index=True),
)
