"""The tables of customers whom a site has vouched for: who they are, their devices, and the proofs that were used."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from assistant.conversation.tables import metadata

customers = Table(
    "customers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("user_id", String(200), primary_key=True),
    Column("visitor_id", String(64), ForeignKey("visitors.visitor_id"), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
)

# A visitor's further secrets: one for each device they are signed in on.
visitor_secrets = Table(
    "visitor_secrets",
    metadata,
    Column("secret_hash", String(64), primary_key=True),  # sha256 of 256 random bits: nothing to brute-force
    Column("visitor_id", String(64), ForeignKey("visitors.visitor_id"), nullable=False, index=True),
    Column("created_at", String(32), nullable=False),
)

# A proof of identity is good for one sign-in, in every process and across restarts.
used_proofs = Table(
    "used_proofs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("expires_at", Integer, nullable=False, index=True),  # seconds since 1970; forgotten after that
)
