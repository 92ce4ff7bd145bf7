"""Run the migrations on the connection that `Database.open` hands over."""

from __future__ import annotations

from alembic import context

from assistant.conversation import (  # noqa: F401  (of the metadata)
    agents_tables,
    api_tables,
    attachment_tables,
    customer_tables,
    erasure_tables,
    outbox_tables,
)
from assistant.conversation.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
