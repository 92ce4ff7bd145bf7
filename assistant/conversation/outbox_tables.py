"""The tables of the outbox: how far each webhook endpoint has got in each conversation, and what it never took."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table

from assistant.conversation.tables import metadata

# Events before `started_at` are not sent; conversations that changed before `scanned_upto` have been looked at.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("endpoint", String(32), primary_key=True),
    Column("started_at", String(32), nullable=False),
    Column("scanned_upto", String(32), nullable=False),
)

# `position` is the last event dealt with; `next_at` is when to send what follows, NULL where nothing is known to.
webhook_cursors = Table(
    "webhook_cursors",
    metadata,
    Column("endpoint", String(32), primary_key=True),
    Column("conversation_id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failing_since", String(32)),
    Column("next_at", String(32)),
    Index("ix_webhook_cursors_next_at", "endpoint", "next_at"),
)

webhook_failures = Table(
    "webhook_failures",
    metadata,
    Column("endpoint", String(32), primary_key=True),
    Column("webhook_id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("position", Integer, nullable=False),
    Column("type", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("failed_at", String(32), nullable=False),
    Column("retry_at", String(32)),
)
