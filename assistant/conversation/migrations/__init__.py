"""How the log's tables came to be, step by step (alembic). `Database.open` runs what is missing."""
