"""Keys for programs, and the customers of the channels that they connect."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("revoked_at", sa.String(32)),
    )
    op.create_table(
        "channel_senders",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("sender_hash", sa.String(64), primary_key=True),
        sa.Column("visitor_id", sa.String(64), sa.ForeignKey("visitors.visitor_id"), nullable=False, index=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("delivered_seq", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for table in ("channel_senders", "api_keys"):
        op.drop_table(table)
