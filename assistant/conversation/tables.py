"""The log's tables, as SQLAlchemy Core knows them. `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

visitors = Table(
    "visitors",
    metadata,
    Column("visitor_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),  # sha256 of 256 random bits: nothing to brute-force
    Column("created_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
)

# The head of each conversation: what could be counted from its events, kept so that an append costs one row.
conversations = Table(
    "conversations",
    metadata,
    Column("conversation_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("visitor_id", String(64), ForeignKey("visitors.visitor_id"), nullable=False, index=True),
    Column("locale", String(35), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("last_position", Integer, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("mode", String(16), nullable=False, index=True),
    Column("assignee", String(64)),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False, index=True),
    Column("erased_upto", Integer, nullable=False, server_default="0"),  # the position up to which nothing is left
)

events = Table(
    "events",
    metadata,
    Column("conversation_id", String(64), ForeignKey("conversations.conversation_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("seq", Integer),
    Column("ts", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("visibility", String(8), nullable=False),
    Column("author", String(16), nullable=False),
    Column("client_msg_id", Text),
    Column("message_id", String(64)),
    Column("reply_to", String(64)),
    Column("payload", JSON, nullable=False),
    UniqueConstraint("conversation_id", "seq", name="uq_events_seq"),
    UniqueConstraint("conversation_id", "client_msg_id", name="uq_events_client_msg_id"),
    # At most one final answer per customer message, also across processes.
    UniqueConstraint("conversation_id", "reply_to", name="uq_events_reply_to"),
    Index("ix_events_message_id", "message_id"),
)
