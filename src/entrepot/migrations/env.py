"""Alembic environment: runs on the connection that `entrepot.database.migrate` hands over."""

from alembic import context

from entrepot.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
