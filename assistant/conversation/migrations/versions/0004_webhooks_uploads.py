"""The outbox of webhooks, and the files that customers send."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("endpoint", sa.String(32), primary_key=True),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("scanned_upto", sa.String(32), nullable=False),
    )
    op.create_table(
        "webhook_cursors",
        sa.Column("endpoint", sa.String(32), primary_key=True),
        sa.Column("conversation_id", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.String(32)),
        sa.Column("next_at", sa.String(32)),
    )
    op.create_index("ix_webhook_cursors_next_at", "webhook_cursors", ["endpoint", "next_at"])
    op.create_table(
        "webhook_failures",
        sa.Column("endpoint", sa.String(32), primary_key=True),
        sa.Column("webhook_id", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("failed_at", sa.String(32), nullable=False),
        sa.Column("retry_at", sa.String(32)),
    )
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False, index=True),
        sa.Column("visitor_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("seq", sa.Integer),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_index("ix_uploads_visitor", "uploads", ["visitor_id", "created_at"])


def downgrade() -> None:
    for table in ("uploads", "webhook_failures", "webhook_cursors", "webhook_endpoints"):
        op.drop_table(table)
