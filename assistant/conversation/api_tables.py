"""The tables of those who talk to the assistant by program: their keys, and whom they speak for."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from assistant.conversation.tables import metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),  # sha256 of 256 random bits: nothing to brute-force
    Column("created_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
)

# Which conversation goes on when a channel's program names its customer again.
channel_senders = Table(
    "channel_senders",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("sender_hash", String(64), primary_key=True),  # what a channel calls its customers may be a phone number
    Column("visitor_id", String(64), ForeignKey("visitors.visitor_id"), nullable=False, index=True),
    Column("conversation_id", String(64), nullable=False),
    Column("delivered_seq", Integer, nullable=False),
)
