"""The table of erasures: who asked to be forgotten, and whether all of it is done."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, String, Table, text

from assistant.conversation.tables import conversations, metadata

# `notes` says what has to be made anew without the visitor, such as a trained adapter.
erasures = Table(
    "erasures",
    metadata,
    Column("visitor_id", String(64), primary_key=True),
    Column("requested_at", String(32), nullable=False),
    Column("finished_at", String(32), index=True),
    Column("notes", JSON, nullable=False),
)

# What retention looks through every hour: without the conversations of which nothing is left, however many those are.
NOT_ERASED = text("last_position > erased_upto")
Index("ix_conversations_kept", conversations.c.updated_at, sqlite_where=NOT_ERASED, postgresql_where=NOT_ERASED)
