"""The first schema: all rooms' tables (baseline/<room>.sql), rights, row level security, the job queue."""

from importlib.resources import files

from alembic import op
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment

from entrepot.migrations.rights import APP_ROLE, force_row_security, grant

revision = "0001"
down_revision = None

# A room's tables refer to those of earlier ones.
ROOMS = ("identity", "jobs", "channels", "catalog", "stock", "allocation", "orders", "sync")

# Rows of one organisation: row security is forced.
TENANT_TABLES = (
    *("audit_log", "idempotency_key"),
    *("connection", "credential", "rate_bucket", "pull_cursor", "webhook_inbox", "connection_health"),
    *("product", "variant", "listing"),
    *("location", "stock_level", "stock_movement", "reservation", "shortage"),
    "allocation_policy",
    *("sales_order", "order_line", "order_event", "shipment"),
    *("listing_quantity", "connection_progress", "push_batch", "sync_run"),
)
APPEND_ONLY = ("audit_log", "stock_movement", "order_event")

# Read before the organisation is known: no row security.
DIRECTORY_TABLES = (
    *("organisation", "person", "membership", "browser_session", "sign_in_attempt", "sign_in_link", "access_key"),
    *("outbox", "worker"),
    "connection_route",
)
QUEUE_TABLES = ("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics")


def upgrade() -> None:
    connection = op.get_bind()
    for room in ROOMS:
        connection.exec_driver_sql(
            (files("entrepot.migrations.versions") / "baseline" / f"{room}.sql").read_text("utf-8")
        )
    for table in TENANT_TABLES:
        grant(table, append_only=table in APPEND_ONLY)
        force_row_security(table)
    for table in DIRECTORY_TABLES:
        grant(table)
    connection.exec_driver_sql(QueryBuilderEnvironment().build_install_query())
    for table in QUEUE_TABLES:
        grant(table)
    op.execute(f"grant usage, select on all sequences in schema public to {APP_ROLE}")
    op.execute(f"grant select on alembic_version to {APP_ROLE}")
