"""Customers whom a site has vouched for, their devices' secrets, and the proofs that were used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(200), primary_key=True),
        sa.Column("visitor_id", sa.String(64), sa.ForeignKey("visitors.visitor_id"), nullable=False, unique=True),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "visitor_secrets",
        sa.Column("secret_hash", sa.String(64), primary_key=True),
        sa.Column("visitor_id", sa.String(64), sa.ForeignKey("visitors.visitor_id"), nullable=False, index=True),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "used_proofs",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires_at", sa.Integer, nullable=False, index=True),
    )


def downgrade() -> None:
    for table in ("used_proofs", "visitor_secrets", "customers"):
        op.drop_table(table)
