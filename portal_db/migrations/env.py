"""Alembic's entry: runs the versions on the connection that `portal_db.migrate` opened."""

from __future__ import annotations

from alembic import context

from portal_db.engine_tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema="sync",
    include_schemas=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
