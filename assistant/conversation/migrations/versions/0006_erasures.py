"""Erasures, and up to where each conversation is erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("visitor_id", sa.String(64), primary_key=True),
        sa.Column("requested_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32), index=True),
        sa.Column("notes", sa.JSON, nullable=False),
    )
    op.add_column("conversations", sa.Column("erased_upto", sa.Integer, nullable=False, server_default="0"))
    kept = sa.text("last_position > erased_upto")
    op.create_index("ix_conversations_kept", "conversations", ["updated_at"], sqlite_where=kept, postgresql_where=kept)


def downgrade() -> None:
    op.drop_index("ix_conversations_kept", "conversations")
    op.drop_column("conversations", "erased_upto")
    op.drop_table("erasures")
