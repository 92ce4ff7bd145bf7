"""The table of files that customers send: what was announced, and whether its bytes came."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from assistant.conversation.tables import metadata

# `seq` is the number of the attachment's event in its conversation, NULL until it is in the log.
uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False, index=True),
    Column("visitor_id", String(64), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("token_hash", String(64), nullable=False),  # sha256 of 256 random bits: nothing to brute-force
    Column("state", String(8), nullable=False),
    Column("sha256", String(64)),
    Column("seq", Integer),
    Column("created_at", String(32), nullable=False),
    Index("ix_uploads_visitor", "visitor_id", "created_at"),
)
