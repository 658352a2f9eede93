"""The first schema: all rooms' tables, row level security, the job queue."""

from alembic import op
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from entrepot.database.pool import APP_ROLE
from entrepot.database.schema import row_security_statements
from entrepot.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        for statement in row_security_statements(table, APP_ROLE):
            op.execute(statement)
    connection.exec_driver_sql(QueryBuilderEnvironment().build_install_query())
    op.execute(f'grant select, insert, update, delete on all tables in schema public to "{APP_ROLE}"')
    op.execute(f'grant usage, select on all sequences in schema public to "{APP_ROLE}"')
    for table in metadata.sorted_tables:
        if table.info["append_only"]:
            op.execute(f'revoke update, delete on "{table.name}" from "{APP_ROLE}"')
    op.execute(f'revoke all on alembic_version from "{APP_ROLE}"')
    op.execute(f'grant select on alembic_version to "{APP_ROLE}"')
