"""Whose customers an agent serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("tenants", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("agents", "tenants")
