"""The log: visitors, conversations, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visitors",
        sa.Column("visitor_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("revoked_at", sa.String(32)),
    )
    op.create_table(
        "conversations",
        sa.Column("conversation_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("visitor_id", sa.String(64), sa.ForeignKey("visitors.visitor_id"), nullable=False, index=True),
        sa.Column("locale", sa.String(35), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("last_position", sa.Integer, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("conversation_id", sa.String(64), sa.ForeignKey("conversations.conversation_id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("seq", sa.Integer),
        sa.Column("ts", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("visibility", sa.String(8), nullable=False),
        sa.Column("author", sa.String(16), nullable=False),
        sa.Column("client_msg_id", sa.Text),
        sa.Column("message_id", sa.String(64)),
        sa.Column("reply_to", sa.String(64)),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.UniqueConstraint("conversation_id", "seq", name="uq_events_seq"),
        sa.UniqueConstraint("conversation_id", "client_msg_id", name="uq_events_client_msg_id"),
        sa.UniqueConstraint("conversation_id", "reply_to", name="uq_events_reply_to"),
    )
    op.create_index("ix_events_message_id", "events", ["message_id"])


def downgrade() -> None:
    for table in ("events", "conversations", "visitors"):
        op.drop_table(table)
